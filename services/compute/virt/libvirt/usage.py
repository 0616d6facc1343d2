"""What this host has and what of it is taken, measured once."""

from __future__ import annotations

import math
from pathlib import Path

import libvirt

from common import ids
from common import objects
from services.compute.virt import driver
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import foreign
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import trouble

MEMORY = Path("/proc/meminfo")
AVAILABLE = "MemAvailable"
KIB_PER_MIB = 1024


def capacity(
    opened: libvirt.virConnect, here: settings.Settings, host: facts.Host
) -> driver.Capacity:
    """Measure the host."""
    with trouble.told("measure the host"), trouble.files(f"measure {here.instances}"):
        others = foreign.every(opened, here.instances)
        space = disks.space(here.instances, foreign.owners(others))
        _model, memory_mb, cpus, *_rest = opened.getInfo()
        running = opened.numOfDomains()
        storage = disks.identity(here.instances, ids.new())
        found = objects.HostUsage(
            memory_free_mb=free_memory(),
            disk_free_mb=space.free // disks.MIB,
            disks=[_disk(disk) for disk in largest(space)],
            guests=[_guest(one, space) for one in guests.sized(opened) if one.guest.run_token],
            foreign=[one.guest for one in others],
            cpu_info=host.cpu_info,
            supported_instances=list(host.kinds),
        )
    return driver.Capacity(
        facts=host.facts.replace(bridges=facts.bridges()),
        vcpus=cpus,
        memory_mb=memory_mb,
        local_gb=space.total // disks.GIB,
        disk_available_least=space.least // disks.GIB,
        running_vms=running,
        storage=storage,
        usage=found,
    )


def space(opened: libvirt.virConnect, here: settings.Settings) -> disks.Space:
    """Measure the file system of the disks, foreign guests' disks too."""
    return disks.space(here.instances, foreign.owners(foreign.every(opened, here.instances)))


def largest(space: disks.Space) -> list[disks.Growing]:
    """The disks that may grow, the one that may take most first."""
    return sorted(space.growing, key=lambda disk: (-disk.growth, disk.path))


def free_memory(source: Path = MEMORY) -> int:
    """MiB that new processes could have without swapping, by the kernel's own estimate."""
    lines = dict(line.split(":", 1) for line in source.read_text().splitlines() if ":" in line)
    return int(lines.get(AVAILABLE, "0").split()[0]) // KIB_PER_MIB


def _disk(disk: disks.Growing) -> objects.GrowingDisk:
    return objects.GrowingDisk(
        instance_uuid=disk.owner,
        path=str(disk.path),
        virtual_bytes=disk.virtual,
        allocated_bytes=disk.allocated,
        may_grow_bytes=disk.growth,
    )


def _guest(sized: guests.Sized, space: disks.Space) -> objects.HostGuest:
    guest = sized.guest
    return objects.HostGuest(
        uuid=guest.uuid,
        power_state=int(guest.power),
        run_token=guest.run_token,
        vcpus=sized.vcpus,
        memory_mb=sized.memory_mb,
        disk_gb=math.ceil(space.sizes.get(guest.uuid, 0) / disks.GIB),
    )

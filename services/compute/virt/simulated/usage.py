"""What a simulated host has and what of it is taken; its disks are thin, and nothing is written."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING

from common import objects
from services.compute.virt import checks
from services.compute.virt import driver
from services.compute.virt.simulated import world as worlds

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

GIB = 1 << 30
MIB = 1 << 20


def capacity(conf: ConfigOpts, world: worlds.World, host: worlds.Host) -> driver.Capacity:
    """Measure the host; whoever asks holds the world's lock."""
    size = conf.simulated
    guests = list(host.guests.values())
    used = sum(guest.memory_mb for guest in guests if guest.power in worlds.ALIVE)
    used += sum(guest.memory_mb for guest in host.foreign)
    free = _free(conf, host)
    growing = disks(world, host)
    found = objects.HostUsage(
        memory_free_mb=max(size.memory_mb - used, 0),
        disk_free_mb=free // MIB,
        disks=growing,
        guests=[
            objects.HostGuest(
                uuid=guest.uuid,
                power_state=int(guest.power),
                run_token=guest.run_token,
                vcpus=guest.vcpus,
                memory_mb=guest.memory_mb,
                disk_gb=math.ceil(guest.disk_bytes / GIB),
            )
            for guest in guests
        ],
        foreign=host.foreign,
        cpu_info=objects.CpuInfo(arch=host.facts.architecture, model="simulated", cores=size.vcpus),
        supported_instances=[
            objects.GuestKind(
                architecture=host.facts.architecture,
                hypervisor_type=host.facts.virt_type,
                vm_mode="hvm",
            )
        ],
    )
    return driver.Capacity(
        facts=host.facts,
        vcpus=size.vcpus,
        memory_mb=size.memory_mb,
        local_gb=size.disk_gb,
        disk_available_least=(free - sum(disk.may_grow_bytes for disk in growing)) // GIB,
        running_vms=sum(guest.power in worlds.ALIVE for guest in guests),
        storage=str(uuid.uuid5(uuid.NAMESPACE_DNS, host.storage or host.name)),
        usage=found,
    )


def room(
    conf: ConfigOpts, world: worlds.World, host: worlds.Host, ratio: float, *, over_commit: bool
) -> int:
    """Give the bytes that new disks may take: as they are, or as they may grow by this ratio."""
    reserved: int = conf.compute.reserved_host_disk_mb * MIB
    free = _free(conf, host)
    if over_commit:
        return free - reserved
    total: int = conf.simulated.disk_gb * GIB
    promised = sum(disk.may_grow_bytes for disk in disks(world, host))
    return checks.growable(total, free - promised, reserved, ratio)


def disks(world: worlds.World, host: worlds.Host) -> list[objects.GrowingDisk]:
    """Give the disks on the host's storage, of guests there, kept there, and coming."""
    there = {
        folder(guest.uuid): guest.disk_bytes
        for each in world.sharing(host)
        for guest in each.guests.values()
    }
    there |= {
        f"kept/{move}/{guest.uuid}": guest.disk_bytes
        for each in world.sharing(host)
        for move, guest in each.kept.items()
    }
    coming = {path: size for each in world.sharing(host) for path, size in each.coming.items()}
    return [
        objects.GrowingDisk(
            instance_uuid=path.rpartition("/")[2],
            path=path,
            virtual_bytes=size,
            allocated_bytes=0,
            may_grow_bytes=size,
        )
        for path, size in sorted({**coming, **there}.items())
        if size
    ]


def disk_bytes(flavor: objects.Flavor) -> int:
    """Give what a guest's disks may grow to: the simulation makes one of them all."""
    return int(flavor.root_gb + flavor.ephemeral_gb) * GIB + int(flavor.swap_mb) * MIB


def folder(uuid: str) -> str:
    """Name the directory of a server's disks."""
    return f"instances/{uuid}"


def _free(conf: ConfigOpts, host: worlds.Host) -> int:
    configured: int = conf.simulated.disk_gb * GIB
    return configured if host.free_bytes is None else host.free_bytes

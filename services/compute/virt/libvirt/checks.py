"""What both hosts look at before a live migration; each check refuses with its own reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import libvirt

from common import errors
from common import ids
from common import objects
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import qcow2
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import trouble

PROBE = ".whimbrel-probe"
MIB = 1 << 20


class Running(NamedTuple):
    """The guest at its source, from its live XML."""

    architecture: str
    machine_type: str
    virt_type: str
    cpu: ET.Element | None
    disks: list[objects.DiskInfo]


# ---- at the destination ----


def destination(
    connection: libvirt.virConnect,
    here: settings.Settings,
    host: facts.Host,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
) -> objects.LibvirtLiveMigrateData:
    """Check what this host alone can tell, and leave the test file."""
    architecture(here.host, _architecture(instance), host.facts)
    model(here, host)
    bridges(here.host, instance)
    with trouble.told(f"look for server {instance.uuid}"):
        absent(here, connection, instance.uuid)
    with trouble.files(f"check {here.instances}"):
        space = disks.space(here.instances)
        name = data.test_file or f"{PROBE}-{here.host}-{ids.new()}"
        (here.instances / name).touch()
        return data.replace(
            test_file=name,
            destination_address=here.address,
            destination_uri=here.peer_uri,
            destination_free_bytes=space.free if data.disk_over_commit else space.least,
            destination_facts=host.facts.replace(bridges=facts.bridges()),
            destination_has_files=here.folder(instance.uuid).exists(),
        )


def clean(here: settings.Settings, data: objects.LibvirtLiveMigrateData) -> None:
    """Remove the test file that this host made; a repeat is fine."""
    name = data.test_file
    if name is None or not name.startswith(f"{PROBE}-{here.host}-") or "/" in name:
        return
    with trouble.files(f"remove {name}"):
        (here.instances / name).unlink(missing_ok=True)


def sweep(here: settings.Settings) -> None:
    """Remove this host's test files that a crash left."""
    with trouble.files(f"look into {here.instances}"):
        for path in here.instances.glob(f"{PROBE}-{here.host}-*"):
            path.unlink(missing_ok=True)


def architecture(host: str, wanted: str, there: objects.HostFacts) -> None:
    """Refuse a destination of another architecture."""
    if wanted != there.architecture:
        raise errors.WrongArchitecture(
            f"the guest needs {wanted}, {host or 'the destination'} is {there.architecture}"
        )


def model(here: settings.Settings, host: facts.Host) -> None:
    """Refuse a host that cannot give guests the CPU model that every host shall have."""
    if here.cpu_model not in host.usable:
        raise errors.IncompatibleCpu(
            f"{here.host} cannot run guests with the CPU model {here.cpu_model} "
            f"under {host.facts.virt_type}"
        )


def bridges(host: str, instance: objects.Instance) -> None:
    """Refuse a host without a bridge that the guest is connected to."""
    present = facts.bridges()
    for port in instance.ports:
        if port.bridge not in present:
            raise errors.BridgeMissing(f"{host} has no bridge {port.bridge}")


def absent(here: settings.Settings, connection: libvirt.virConnect, uuid: str) -> None:
    """Refuse a destination that has a guest of this uuid already."""
    if guests.find(connection, uuid) is not None:
        raise errors.CheckFailed(f"{here.host} has a guest of server {uuid} already")


# ---- at the source ----


def source(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
) -> objects.LibvirtLiveMigrateData:
    """Check the guest against what the destination told, and decide block_migration."""
    there = data.destination_facts
    if there is None or data.test_file is None:
        raise errors.Invalid("the destination has not been asked yet")
    with trouble.told(f"look at server {instance.uuid}"), trouble.files("look at its disks"):
        guest = running(connection, here, instance)
        architecture(data.destination_address, guest.architecture, there)
        hypervisor(connection, there)
        machine(guest, there)
        cpu(connection, guest, there)
        shared = seen(here.instances, data.test_file)
    block = storage(shared, data.block_migration, guest.disks)
    result = data.replace(
        is_shared=shared,
        block_migration=block,
        disks=guest.disks if block else [],
        unsafe=shared and here.trust_shared,
    )
    if not shared:
        clear(instance, result)
        room(result)
    return result


def running(
    connection: libvirt.virConnect, here: settings.Settings, instance: objects.Instance
) -> Running:
    """Read the guest's hardware; WrongState when it does not run here."""
    domain = guests.find(connection, instance.uuid)
    if domain is None:
        raise errors.GuestNotFound(f"{here.host} has no guest of server {instance.uuid}")
    if guests.standing(connection, instance.uuid) is not guests.Standing.ACTIVE:
        raise errors.WrongState(f"server {instance.uuid} is shut down on {here.host}")
    xml = ET.fromstring(domain.XMLDesc())
    kind = xml.find("os/type")
    return Running(
        architecture=kind.get("arch", "") if kind is not None else "",
        machine_type=kind.get("machine", "") if kind is not None else "",
        virt_type=xml.get("type", ""),
        cpu=xml.find("cpu"),
        disks=[info(each, instance) for each in xml.iterfind("devices/disk") if _local(each)],
    )


def info(disk: ET.Element, instance: objects.Instance) -> objects.DiskInfo:
    """Describe one disk by its XML and its file."""
    path = disk.find("source")
    target = disk.find("target")
    file = path.get("file", "") if path is not None else ""
    header = qcow2.read(Path(file))
    image = instance.image.id if instance.image is not None and header.backing else None
    return objects.DiskInfo(
        target=target.get("dev", "") if target is not None else "",
        path=file,
        format=header.format,
        virtual_bytes=header.virtual,
        allocated_bytes=header.allocated,
        image_id=image,
    )


def hypervisor(connection: libvirt.virConnect, there: objects.HostFacts) -> None:
    """Refuse a destination whose hypervisor is another one, or older."""
    kind, version = connection.getType(), connection.getVersion()
    if kind != there.hypervisor_type:
        raise errors.HypervisorTooOld(
            f"the destination runs {there.hypervisor_type}, the source {kind}"
        )
    if there.hypervisor_version < version:
        raise errors.HypervisorTooOld(
            f"the destination's {kind} {dotted(there.hypervisor_version)} is older than the "
            f"source's {dotted(version)}"
        )


def machine(guest: Running, there: objects.HostFacts) -> None:
    """Refuse a destination that does not know the guest's machine type or cannot accelerate it."""
    if guest.machine_type not in there.machine_types:
        raise errors.HypervisorTooOld(
            f"the destination does not know the guest's machine type {guest.machine_type}"
        )
    if guest.virt_type != there.virt_type:
        raise errors.IncompatibleCpu(
            f"the guest runs under {guest.virt_type}, the destination offers {there.virt_type}"
        )


def cpu(connection: libvirt.virConnect, guest: Running, there: objects.HostFacts) -> None:
    """Refuse a destination that lacks features of the guest's processor, naming them.

    Plain QEMU emulates the same models on every processor: nothing to compare.
    """
    if guest.virt_type == "qemu" or guest.cpu is None or not there.cpu:
        return
    given = ET.tostring(guest.cpu, encoding="unicode")
    lacking = missing(connection, guest.virt_type, given, there.cpu)
    if lacking:
        raise errors.IncompatibleCpu(
            f"the destination's processor lacks {', '.join(lacking)}, which the guest uses"
        )


def missing(connection: libvirt.virConnect, virt_type: str, guest: str, there: str) -> list[str]:
    """The features of a guest's processor that another host's lacks.

    Both are written out by this host's libvirt, which leaves out what it
    cannot give itself: the guest that runs here has none of that.
    """
    return sorted(_features(connection, virt_type, guest) - _features(connection, virt_type, there))


def seen(instances: Path, name: str) -> bool:
    """Tell whether the destination's test file is here too."""
    # A network file system answers from its cache unless the directory changed.
    os.utime(instances)
    return (instances / name).exists()


def storage(shared: bool, asked: bool | None, local: list[objects.DiskInfo]) -> bool:  # noqa: FBT001 - two facts of one table
    """Decide whether disks are copied; StorageMismatch when that was asked for wrongly."""
    if asked is None or not local:
        return not shared
    if asked and shared:
        raise errors.StorageMismatch(
            "both hosts share the disks' directory, so nothing is to be copied: "
            "use block_migration false or auto"
        )
    if not asked and not shared:
        raise errors.StorageMismatch(
            "the hosts do not share the disks' directory, so disks must be copied: "
            "use block_migration true or auto"
        )
    return asked


def clear(instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
    """Refuse a destination that has files of this server already."""
    if data.destination_has_files:
        raise errors.DiskExists(
            f"{data.destination_address} has files of server {instance.uuid} already: "
            "look at them and remove them there, or choose another host"
        )


def room(data: objects.LibvirtLiveMigrateData) -> None:
    """Refuse a destination without room for the copies: as they are, or as they may grow."""
    need = sum(
        disk.allocated_bytes if data.disk_over_commit else disk.virtual_bytes for disk in data.disks
    )
    if need > data.destination_free_bytes:
        raise errors.NoDiskSpace(
            f"{data.destination_address} has {data.destination_free_bytes // MIB} MiB for disks, "
            f"{-(-need // MIB)} MiB needed"
            + ("" if data.disk_over_commit else "; disk_over_commit counts only what is written")
        )


def dotted(version: int) -> str:
    """libvirt's version number as people write it: 7002000 is 7.2.0."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"


def _architecture(instance: objects.Instance) -> str:
    properties: dict[str, str] = instance.image.properties if instance.image else {}
    return properties.get("hw_architecture") or facts.ARCHITECTURE


def _local(disk: ET.Element) -> bool:
    """A writable file; what is read-only or on the network is not copied."""
    return (
        disk.get("type") == "file"
        and disk.get("device") == "disk"
        and disk.find("readonly") is None
        and disk.find("shareable") is None
    )


def _features(connection: libvirt.virConnect, virt_type: str, cpu: str) -> frozenset[str]:
    """Every feature of a processor, those its model implies too."""
    whole = connection.baselineHypervisorCPU(
        None, None, None, virt_type, [cpu], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    )
    found = ET.fromstring(whole).iterfind("feature")
    return frozenset(
        each.get("name", "") for each in found if each.get("policy", "require") != "disable"
    )

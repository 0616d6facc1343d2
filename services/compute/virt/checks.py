"""The checks of a live migration that ask no hypervisor: every driver's tables are made of these.

Each gives a sentence about what it saw, with numbers, or raises a CheckFailed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from common import objects

MIB = 1 << 20
FIRST = "x86_64"  # of images that name none


def wanted(instance: objects.Instance) -> str:
    """Give the architecture that a server's image asks for."""
    properties: dict[str, str] = instance.image.properties if instance.image else {}
    return properties.get("hw_architecture") or FIRST


def architecture(host: str, needed: str, there: objects.HostFacts) -> str:
    """Refuse a destination of another architecture."""
    if needed != there.architecture:
        raise errors.WrongArchitecture(
            f"the guest needs {needed}, {host or 'the destination'} is {there.architecture}"
        )
    return f"both are {needed}"


def bridges(host: str, instance: objects.Instance, present: Collection[str]) -> str:
    """Refuse a host without a bridge that the guest is connected to."""
    for port in instance.ports:
        if port.bridge not in present:
            raise errors.BridgeMissing(f"{host} has no bridge {port.bridge}")
    named = ", ".join(sorted({port.bridge for port in instance.ports}))
    return f"{host} has {named}" if named else "the guest needs no bridge"


def absent(host: str, uuid: str, *, there: bool) -> str:
    """Refuse a destination that has a guest of this uuid already."""
    if there:
        raise errors.CheckFailed(f"{host} has a guest of server {uuid} already")
    return f"{host} has no guest of server {uuid}"


def hypervisor(kind: str, version: int, there: objects.HostFacts) -> str:
    """Refuse a destination whose hypervisor is another one, or older."""
    if kind != there.hypervisor_type:
        raise errors.HypervisorTooOld(
            f"the destination runs {there.hypervisor_type}, the source {kind}"
        )
    if there.hypervisor_version < version:
        raise errors.HypervisorTooOld(
            f"the destination's {kind} {dotted(there.hypervisor_version)} is older than the "
            f"source's {dotted(version)}"
        )
    return f"{kind} {dotted(version)} here, {dotted(there.hypervisor_version)} there"


def machine(wants: str, there: objects.HostFacts) -> str:
    """Refuse a destination that does not know the guest's machine type."""
    if wants not in there.machine_types:
        raise errors.HypervisorTooOld(
            f"the destination does not know the guest's machine type {wants}"
        )
    return f"the destination knows {wants}"


def accelerator(virt_type: str, there: objects.HostFacts) -> str:
    """Refuse a destination that cannot take over what accelerates the guest."""
    if virt_type != there.virt_type:
        raise errors.IncompatibleCpu(
            f"the guest runs under {virt_type}, the destination offers {there.virt_type}"
        )
    return f"both run guests under {virt_type}"


def storage(*, shared: bool, asked: bool | None, disks: int) -> str:
    """Refuse to copy shared disks, and not to copy those that are not shared."""
    if asked and shared and disks:
        raise errors.StorageMismatch(
            "both hosts share the disks' directory, so nothing is to be copied: "
            "use block_migration false or auto"
        )
    if asked is False and not shared and disks:
        raise errors.StorageMismatch(
            "the hosts do not share the disks' directory, so disks must be copied: "
            "use block_migration true or auto"
        )
    if shared:
        return "the source sees the destination's test file: nothing is copied"
    return f"the source does not see the destination's test file: disks to copy: {disks}"


def copied(*, shared: bool, asked: bool | None, disks: int) -> bool:
    """Decide whether disks are copied, once storage() has agreed."""
    return not shared if asked is None or not disks else asked


def untouched(
    instance: objects.Instance, data: objects.LibvirtLiveMigrateData, *, shared: bool
) -> str:
    """Refuse a destination that has files of this server already."""
    if shared:
        return "the server's files are on shared storage"
    if data.destination_has_files:
        raise occupied(str(data.destination_address), instance.uuid)
    return f"{data.destination_address} has no files of the server"


def occupied(host: str, uuid: str, where: str = "already") -> errors.DiskExists:
    """Make the refusal of a host that has files of a server which nobody may overwrite."""
    return errors.DiskExists(
        f"{host} has files of server {uuid} {where}: "
        "look at them and remove them there, or choose another host"
    )


def room(data: objects.LibvirtLiveMigrateData) -> str:
    """Refuse a destination without room for the copies: as they are, or as they may grow."""
    if not data.disks:
        return "no disk is copied"
    need = sum(
        disk.allocated_bytes if data.disk_over_commit else disk.virtual_bytes for disk in data.disks
    )
    advice = "" if data.disk_over_commit else "; disk_over_commit counts only what is written"
    return fits(str(data.destination_address), need, data.destination_free_bytes, advice)


def growable(total: int, least: int, reserved: int, ratio: float) -> int:
    """Give the bytes that new disks may grow to where `least` stays free when all are full.

    What the host keeps for itself is taken off, and what its ratio allows to
    promise beyond the file system is added; but where the disks may outgrow it
    already no ratio helps. The scheduler counts so too, in GiB.
    """
    room = least - (total - int((total - reserved) * ratio))
    return room if least >= 0 else min(room, least)


def fits(host: str, need: int, free: int, advice: str = "") -> str:
    """Refuse a host where disks of so many bytes may not grow."""
    told = f"{host} has {free // MIB} MiB for disks, {-(-need // MIB)} MiB needed"
    if need > free:
        raise errors.NoDiskSpace(told + advice)
    return told


def dotted(version: int) -> str:
    """libvirt's version number as people write it: 7002000 is 7.2.0."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"

"""What a guest writes while its disks are copied: an overlay beside each, and back into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt

from common import errors
from services.compute import native
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".delta"
FLAGS = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
)
# Seconds for a running guest's overlay to go back into its disk, and between looks at it.
MERGE = 600.0
LOOK = 0.1
# Into the disk right below the overlay: without it libvirt writes into the base that all share.
INTO_THE_NEXT = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
# What libvirt says when the mirror of a merge is not whole yet.
NOT_YET = frozenset({libvirt.VIR_ERR_BLOCK_COPY_ACTIVE, libvirt.VIR_ERR_OPERATION_INVALID})


def freeze(domain: libvirt.virDomain) -> list[Path]:
    """Let the guest write into overlays, and give the disks that nobody writes any more.

    One that writes into its overlay already is left as it is. HypervisorError
    where the guest's disks cannot do that.
    """
    now = dict(files(domain))
    fresh = {target: path for target, path in now.items() if path.suffix != SUFFIX}
    if fresh:
        with trouble.told(f"let guest {domain.name()} write beside its disks"):
            domain.snapshotCreateXML(_xml(now, fresh), FLAGS)
    return [below(path) for path in now.values()]


def thaw(domain: libvirt.virDomain) -> None:
    """Bring what a running guest wrote into its overlays back into its disks."""
    for target, path in files(domain):
        if path.suffix == SUFFIX:
            _merge(domain, target)
            path.unlink(missing_ok=True)


def sweep(domain: libvirt.virDomain, folder: Path) -> None:
    """Remove the overlays that a running guest does not write: those of a failed snapshot."""
    written = {path for _target, path in files(domain)}
    for delta in folder.glob(f"*{SUFFIX}"):
        if delta not in written:
            delta.unlink()


def newest(made: list[disks.Disk]) -> list[disks.Disk]:
    """Give a guest's disks with the files that it wrote last: those that thaw() has still to do."""
    return [disk._replace(path=of(disk.path)) if of(disk.path).exists() else disk for disk in made]


def fold(folder: Path) -> None:
    """Bring every overlay of a guest that is off back into its disk; a repeat is fine."""
    for delta in sorted(folder.glob(f"*{SUFFIX}")):
        disks.commit(delta)
        delta.unlink()


def of(path: Path) -> Path:
    """The overlay of a disk."""
    return path.with_name(path.name + SUFFIX)


def below(path: Path) -> Path:
    """The disk of an overlay; a disk is its own."""
    return path.with_name(path.name.removesuffix(SUFFIX))


def files(domain: libvirt.virDomain) -> Iterator[tuple[str, Path]]:
    """Every writable file of the guest, with the disk's target, from its present XML."""
    for disk in ET.fromstring(domain.XMLDesc()).iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if disk.get("device") == "disk" and source is not None and target is not None:
            yield target.get("dev", ""), Path(source.get("file", ""))


def _xml(now: dict[str, Path], fresh: dict[str, Path]) -> str:
    snapshot = ET.Element("domainsnapshot")
    listed = ET.SubElement(snapshot, "disks")
    for target in now:
        kind = "external" if target in fresh else "no"
        disk = ET.SubElement(listed, "disk", name=target, snapshot=kind)
        if target in fresh:
            ET.SubElement(disk, "driver", type=disks.FORMAT)
            ET.SubElement(disk, "source", file=str(of(fresh[target])))
    return ET.tostring(snapshot, encoding="unicode")


def _merge(domain: libvirt.virDomain, target: str) -> None:
    """Commit the active overlay, and go on with the disk below it."""
    pause: native.Queue[None] = native.Queue()
    with trouble.told(f"bring back what guest {domain.name()} wrote beside {target}"):
        if not domain.blockJobInfo(target, 0):
            domain.blockCommit(target, None, None, 0, INTO_THE_NEXT)
        for _ in range(round(MERGE / LOOK)):
            if _pivoted(domain, target):
                return
            pause.get(LOOK)
    raise errors.HypervisorError(
        f"disk {target} of guest {domain.name()} is not whole again after {MERGE:.0f} s"
    )


def _pivoted(domain: libvirt.virDomain, target: str) -> bool:
    job = domain.blockJobInfo(target, 0)
    if not job:
        raise errors.HypervisorError(
            f"disk {target} of guest {domain.name()} takes no more: what the guest wrote stays in "
            f"its overlay; see that the host has disk free"
        )
    if job["cur"] < job["end"]:
        return False
    try:
        domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    except libvirt.libvirtError as error:
        if trouble.code(error) in NOT_YET:
            return False
        raise
    return True

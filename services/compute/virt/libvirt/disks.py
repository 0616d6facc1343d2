"""The disks of guests: thin overlays over base files that are never written."""

from __future__ import annotations

import collections
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from common import errors
from common import objects
from services.compute.virt import checks
from services.compute.virt.libvirt import qcow2

GIB = 1 << 30
MIB = 1 << 20
DISK = "disk"
EPHEMERAL = "disk.eph0"
SWAP = "disk.swap"
# What a flavor counts; beside them is what a guest writes while its disk is copied.
OF_FLAVOR = frozenset({DISK, EPHEMERAL, SWAP})
CONSOLE = "console.log"
FORMAT = "qcow2"
LIMIT = 60.0  # seconds for one qemu-img
MERGE = 3600.0  # seconds for one that writes as much as a guest has written
# How qemu-img ends whose file system is full; it has one exit status for all.
FULL = os.strerror(errno.ENOSPC)
# Holds the id of the directory of all servers' disks.
MARK = ".storage-id"
NOBODY: Mapping[Path, str] = MappingProxyType({})
# What a guest writes is nobody else's; libvirt gives the file to QEMU's user.
MODE = 0o600


class Base(NamedTuple):
    """The file below an overlay."""

    path: str
    format: str


class Disk(NamedTuple):
    """One disk of a guest: its file, what the guest calls it, and how big it is in bytes."""

    path: Path
    target: str
    virtual: int
    base: Base | None


class Growing(NamedTuple):
    """A disk file that may not have its full size yet, and whose it is; sizes in bytes."""

    owner: str
    path: Path
    virtual: int
    allocated: int

    @property
    def growth(self) -> int:
        """What it may still take."""
        return self.virtual - self.allocated


class Space(NamedTuple):
    """The file system of the disks, in bytes, and the disks on it that may still grow."""

    total: int
    free: int
    growing: tuple[Growing, ...]
    sizes: Mapping[str, int] = MappingProxyType({})  # of our guests' disks, by server

    @property
    def promised(self) -> int:
        """What the thin disks may still take."""
        return sum(disk.growth for disk in self.growing)

    @property
    def least(self) -> int:
        """What stays free when every thin disk is full; may be negative."""
        return self.free - self.promised

    def room(self, reserved: int, ratio: float) -> int:
        """What new disks may grow to: `reserved` bytes stay the host's, `ratio` allows more."""
        return checks.growable(self.total, self.least, reserved, ratio)


def layout(folder: Path, instance: objects.Instance, file: str | None) -> list[Disk]:
    """Every disk of a server in the order in which the guest sees them."""
    found: list[tuple[str, int, Base | None]] = []
    if wanted(instance):
        base = base_of(instance, file)
        found.append((DISK, size(instance, base), base))
    flavor = instance.flavor
    empty = ((EPHEMERAL, int(flavor.ephemeral_gb) * GIB), (SWAP, int(flavor.swap_mb) * MIB))
    found += [(name, virtual, None) for name, virtual in empty if virtual]
    return [
        Disk(folder / name, f"vd{chr(ord('a') + number)}", virtual, base)
        for number, (name, virtual, base) in enumerate(found)
    ]


def console(folder: Path) -> Path:
    """Where a server's serial console is written."""
    return folder / CONSOLE


def wanted(instance: objects.Instance) -> bool:
    """Tell whether the server has a disk at all: an image, or room of its flavor's."""
    return instance.image is not None or instance.flavor.root_gb > 0


def base_of(instance: objects.Instance, file: str | None) -> Base | None:
    """The base of the server's disk; a server without an image has none."""
    if instance.image is None or file is None:
        return None
    return Base(file, "qcow2" if instance.image.disk_format == "qcow2" else "raw")


def size(instance: objects.Instance, base: Base | None) -> int:
    """How big the disk is in bytes: the flavor's root_gb, or the image's size when that is 0."""
    asked = int(instance.flavor.root_gb) * GIB
    if base is None or instance.image is None:
        return asked
    needed = qcow2.base(Path(base.path), base.format).virtual
    if asked and needed > asked:
        raise errors.Invalid(
            f"image {instance.image.name} needs a disk of {-(-needed // GIB)} GiB, "
            f"flavor {instance.flavor.name} gives {instance.flavor.root_gb}"
        )
    return asked or needed


def make(target: Path, virtual: int, base: Base | None) -> None:
    """Make an empty overlay, whole or not at all; one that is there is left as it is."""
    if target.exists():
        return
    fresh = target.with_name(f"{target.name}.new")
    below = ["-b", base.path, "-F", base.format] if base else []
    _img("create", "-q", "-f", FORMAT, *below, str(fresh), str(virtual))
    fresh.chmod(MODE)
    fresh.rename(target)


def space(instances: Path, others: Mapping[Path, str] = NOBODY) -> Space:
    """Measure the file system, and what the disks on it may still grow.

    `others` are disks of foreign guests on the same file system, with their owners.
    """
    measured = os.statvfs(instances)
    ours = {path: path.parent.name for path in instances.glob(f"*/{DISK}*")}
    found = list(_every({**others, **ours}))
    unit = measured.f_frsize
    sizes: collections.Counter[str] = collections.Counter()
    for disk in found:
        if disk.path in ours and disk.path.name in OF_FLAVOR:
            sizes[disk.owner] += disk.virtual
    return Space(
        measured.f_blocks * unit,
        measured.f_bavail * unit,
        tuple(disk for disk in found if disk.growth > 0),
        sizes,
    )


def _every(files: Mapping[Path, str]) -> Iterator[Growing]:
    """Read every disk's header; one whose server was deleted meanwhile is left out."""
    for path, owner in files.items():
        try:
            found = qcow2.read(path)
        except FileNotFoundError:
            continue
        yield Growing(owner, path, found.virtual, found.allocated)


def identity(instances: Path, fresh: str) -> str:
    """Give the id of this directory, the same on every host that shares it.

    `fresh` becomes it when nobody has given it one yet.
    """
    mark = instances / MARK
    if not mark.exists():
        draft = instances / f"{MARK}-{fresh}"
        draft.write_text(fresh)
        try:
            os.link(draft, mark)
        except FileExistsError:  # another host was first
            pass
        finally:
            draft.unlink()
    return mark.read_text().strip()


def direct(instances: Path, host: str) -> bool:
    """Tell whether the file system can go past the host's page cache."""
    probe = instances / f".whimbrel-direct-{host}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def remove(folder: Path) -> None:
    """Remove a server's directory; one that is gone is fine."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return


def sync(folder: Path) -> None:
    """Have the files of a directory, and their names, survive a power failure from now on."""
    for path in [*folder.iterdir(), folder]:
        flush(path)


def flush(path: Path) -> None:
    """Have one file, or the names in one directory, survive a power failure from now on."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def rebase(overlay: Path, base: Base) -> None:
    """Say what is below an overlay from now on; the same bytes as before, elsewhere."""
    _img("rebase", "-q", "-u", "-f", FORMAT, "-F", base.format, "-b", base.path, str(overlay))


def commit(overlay: Path) -> None:
    """Write what an overlay has into the disk below it; the overlay stays."""
    _img("commit", "-q", "-d", "-f", FORMAT, str(overlay), limit=MERGE)


def grow(disk: Path, virtual: int) -> None:
    """Make a disk larger, in bytes; its file system stays as it is."""
    _img("resize", "-q", "-f", FORMAT, str(disk), str(virtual))


def _img(*words: str, limit: float = LIMIT) -> None:
    try:
        subprocess.run(
            ["qemu-img", *words], check=True, capture_output=True, text=True, timeout=limit
        )
    except subprocess.CalledProcessError as failed:
        kind = errors.NoDiskSpace if FULL in failed.stderr else errors.HypervisorError
        raise kind(f"qemu-img {words[0]}: {failed.stderr.strip()}") from failed
    except subprocess.TimeoutExpired as late:
        raise errors.HypervisorError(f"qemu-img {words[0]} took over {limit:.0f} s") from late

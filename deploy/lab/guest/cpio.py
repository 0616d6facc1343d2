"""Archives that the kernel unpacks as its first root file system (newc cpio)."""

from collections.abc import Iterable
from dataclasses import dataclass

FOLDER = 0o040755
PROGRAM = 0o100755
FILE = 0o100644
DEVICE = 0o020600


@dataclass(frozen=True)
class Entry:
    """One file of an archive; `device` is (major, minor) of a character device."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def pack(entries: Iterable[Entry]) -> bytes:
    """The archive of the entries, in their order, with its trailer.

    The same entries give the same bytes: times, owners and inodes say nothing.
    """
    members = [*entries, Entry("TRAILER!!!", 0)]
    return b"".join(member(number, entry) for number, entry in enumerate(members, start=1))


def member(inode: int, entry: Entry) -> bytes:
    """Header, name and data of one entry, each padded to four bytes."""
    name = entry.name.encode() + b"\0"
    major, minor = entry.device
    fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, major, minor, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return padded(header + name) + padded(entry.data)


def padded(data: bytes) -> bytes:
    """The data, filled with zero bytes to a multiple of four."""
    return data + b"\0" * (-len(data) % 4)

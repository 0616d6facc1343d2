"""A file as chunks with a checksum each: what has landed, and what is still to be sent."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import BinaryIO
from typing import NamedTuple
from typing import TYPE_CHECKING

import xxhash

from services.compute.virt.cold import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes that are read, summed up and sent at once: what one message of libvirt's streams
# carries. Of a larger piece a little would be left over, which costs a message of its own.
PIECE = 262_120
_ZEROS = memoryview(bytes(PIECE))


class Extent(NamedTuple):
    """A run of bytes: data, or a hole."""

    start: int
    length: int
    hole: bool


class Sum:
    """The XXH3-128 of one chunk, taken in as it is read; a chunk that is a hole costs nothing."""

    def __init__(self, length: int) -> None:
        """Begin with nothing of a chunk of this length in bytes."""
        self._length = length
        self._sum = xxhash.xxh3_128()
        self._empty = False

    def add(self, piece: bytes) -> None:
        """Take in bytes."""
        self._sum.update(piece)

    def zeros(self, length: int) -> None:
        """Take in a hole, as the zeros that it reads as."""
        if length == self._length:
            self._empty = True
            return
        while length:
            count = min(length, PIECE)
            self._sum.update(_ZEROS[:count])
            length -= count

    def hex(self) -> str:
        """Give the sum of what was taken in."""
        return _zeros(self._length) if self._empty else self._sum.hexdigest()


def digests(path: Path) -> list[str]:
    """Give the sum of every chunk as it is on the disk; none for a file that is not there."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return [digest(file, start, size) for start in range(0, size, CHUNK)]
    except FileNotFoundError:
        return []


def digest(file: BinaryIO, start: int, size: int) -> str:
    """Give the sum of the chunk that begins there."""
    end = min(start + CHUNK, size)
    summing = Sum(end - start)
    for extent in extents(file, start, end):
        if extent.hole:
            summing.zeros(extent.length)
            continue
        for piece in pieces(file, extent):
            summing.add(piece)
    return summing.hex()


def extents(file: BinaryIO, start: int, end: int) -> Iterator[Extent]:
    """Divide a range of the file into data and holes, as the file system knows them."""
    at = start
    while at < end:
        data = min(_seek(file, at, os.SEEK_DATA, end), end)
        if data > at:
            yield Extent(at, data - at, hole=True)
        hole = min(_seek(file, data, os.SEEK_HOLE, end), end) if data < end else end
        if hole > data:
            yield Extent(data, hole - data, hole=False)
        at = hole


def data(file: BinaryIO, start: int, end: int) -> int:
    """Count the bytes of a range that are no holes."""
    return sum(extent.length for extent in extents(file, start, end) if not extent.hole)


def pieces(file: BinaryIO, extent: Extent) -> Iterator[bytes]:
    """Read a run of data piece by piece."""
    at, end = extent.start, extent.start + extent.length
    while at < end:
        length = min(PIECE, end - at)
        read = os.pread(file.fileno(), length, at)
        if not read:
            return
        yield read
        at += len(read)


def _seek(file: BinaryIO, at: int, whence: int, end: int) -> int:
    try:
        return os.lseek(file.fileno(), at, whence)
    except OSError:  # ENXIO: nothing but a hole until the end
        return end


@functools.lru_cache(maxsize=8)
def _zeros(length: int) -> str:
    return xxhash.xxh3_128(bytes(length)).hexdigest()

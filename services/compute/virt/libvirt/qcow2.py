"""The header of a qcow2 file: cheaper than a process, and no lock of a running guest is asked."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from common import errors

MAGIC = b"QFI\xfb"
# magic, version, backing file's offset and length, cluster bits, virtual size
HEADER = struct.Struct(">4sIQIIQ")
FEATURES = struct.Struct(">Q")
FEATURES_AT = 72
EXTERNAL_DATA = 1 << 2
SECTOR = 512
SECOND = 2


class Header(NamedTuple):
    """What the first bytes of an image say; sizes in bytes."""

    format: str  # raw or qcow2
    virtual: int
    allocated: int
    backing: str | None
    external_data: bool


def read(path: Path) -> Header:
    """Read an image's header; whatever is no qcow2 is raw."""
    status = path.stat()
    allocated = status.st_blocks * SECTOR
    with path.open("rb") as file:
        first = file.read(FEATURES_AT + FEATURES.size)
        if len(first) < HEADER.size or not first.startswith(MAGIC):
            return Header("raw", status.st_size, allocated, None, external_data=False)
        _magic, version, offset, length, _bits, virtual = HEADER.unpack_from(first)
        file.seek(offset)
        backing = file.read(length).decode(errors="replace") if offset else None
    features = 0
    if version > SECOND and len(first) == FEATURES_AT + FEATURES.size:
        features = FEATURES.unpack_from(first, FEATURES_AT)[0]
    return Header("qcow2", virtual, allocated, backing, bool(features & EXTERNAL_DATA))


def base(path: Path, wanted: str) -> Header:
    """Read the header of a base file; BadImage when it would read other files, or is no `wanted`.

    A raw image may begin with any bytes: it is given to QEMU as raw.
    """
    found = read(path)
    if wanted == "raw":
        size = path.stat().st_size
        return Header("raw", size, found.allocated, None, external_data=False)
    if found.format != wanted:
        raise errors.BadImage(f"{path.name} is not in format {wanted} but {found.format}")
    if found.backing is not None or found.external_data:
        raise errors.BadImage(f"{path.name} refers to other files; flatten it first")
    return found

"""Kernel modules of the guest, in the order in which they must be loaded."""

import gzip
import lzma
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path

from deploy.lab import errors

WANTED = ("virtio_pci", "virtio_blk", "virtio_net", "button", "evdev")
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".ko": bytes,
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
}
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def load(root: Path) -> dict[str, bytes]:
    """Every module below a folder, by name; a module that is compressed is unpacked.

    What the kernel has built in is no file, and so is not here.
    """
    found = {}
    for path in root.rglob("*.ko*"):
        name = path.name.split(".ko")[0].replace("-", "_")
        found[name] = path
    return {name: read(found[name]) for name in closure(WANTED, found)}


def closure(wanted: Iterable[str], found: Mapping[str, Path]) -> list[str]:
    """The wanted modules and all that they need, each after what it needs."""
    order: list[str] = []
    for name in wanted:
        if name not in found or name in order:
            continue
        needs = closure(depends(read(found[name])), found)
        order += [need for need in needs if need not in order]
        order.append(name)
    return order


def depends(module: bytes) -> list[str]:
    """The names that a module's .modinfo section says it needs."""
    match = DEPENDS.search(module)
    if not match:
        return []
    return [name.replace("-", "_") for name in match[1].decode().split(",") if name]


def read(path: Path) -> bytes:
    """A module's bytes, unpacked if they are stored compressed."""
    if path.suffix not in UNPACK:
        raise errors.Missing(f"nothing here unpacks the kernel module {path.name}")
    return UNPACK[path.suffix](path.read_bytes())

"""Disks only grow: a flavor that would cut one off is refused before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from common import objects

GIB = 1 << 30
ROOT = "vda"

# A flavor's field, what users call it, its unit.
DISKS = (
    ("root_gb", "root disk", "GiB"),
    ("ephemeral_gb", "ephemeral disk", "GiB"),
    ("swap_mb", "swap", "MiB"),
)


def compare(instance: objects.Instance, flavor: objects.Flavor) -> None:
    """Raise Invalid when the server's own flavor has more of a disk than this one."""
    old = instance.flavor
    _refuse(
        instance,
        flavor,
        [
            f"{name} {getattr(old, field)} to {getattr(flavor, field)} {unit}"
            for field, name, unit in DISKS
            if getattr(flavor, field) < getattr(old, field)
        ],
    )


def measure(instance: objects.Instance, cold: objects.ColdMove) -> None:
    """Raise Invalid when the root disk, as its host sees it, is larger than the new flavor's.

    A flavor of 0 GiB says nothing of it: the disk is as large as its image was.
    """
    old, new = cold.old_flavor, cold.new_flavor
    if new.root_gb == old.root_gb or (instance.image is None and not old.root_gb):
        return
    found = sum(disk.virtual_bytes for disk in cold.disks if disk.target == ROOT)
    if found > new.root_gb * GIB:
        _refuse(instance, new, [f"root disk {-(-found // GIB)} to {new.root_gb} GiB"])


def _refuse(instance: objects.Instance, flavor: objects.Flavor, smaller: Collection[str]) -> None:
    if smaller:
        raise errors.Invalid(
            f"flavor {flavor.name} would shrink the disk of server {instance.uuid}: "
            f"{', '.join(smaller)}; disks only grow"
        )

"""One simulated host of a topology: how its compute is configured, and how it behaves."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

# Key of a group: the option of its computes that it sets.
OPTIONS = {
    "zone": "compute.availability_zone",
    "vcpus": "simulated.vcpus",
    "memory_mb": "simulated.memory_mb",
    "disk_gb": "simulated.disk_gb",
    "rate": "simulated.rate",
}
RESERVED = {
    "vcpus": "compute.reserved_host_cpus",
    "memory_mb": "compute.reserved_host_memory_mb",
    "disk_mb": "compute.reserved_host_disk_mb",
}
RATIOS = {
    "vcpus": "compute.cpu_allocation_ratio",
    "memory_mb": "compute.ram_allocation_ratio",
    "disk_gb": "compute.disk_allocation_ratio",
}


class Member(NamedTuple):
    """One host; None where the simulation's own default holds."""

    name: str
    aggregates: tuple[str, ...]
    options: dict[str, object]  # "group.option": value, for its compute
    pool: str | None  # hosts of one pool see each other's disks
    features: tuple[str, ...] | None
    cpu: str | None
    slow: dict[str, float]  # driver's method: seconds that it takes
    fails: dict[str, float]  # driver's method: chance that it fails


def make(group: Mapping[str, Any], number: int) -> Member:
    """Make the host of this number, from 1, of a sound group."""
    options = {option: _own(group[key], number) for key, option in OPTIONS.items() if key in group}
    for table, key in ((RESERVED, "reserved"), (RATIOS, "ratios")):
        options.update({table[kind]: value for kind, value in group.get(key, {}).items()})
    features = group.get("features")
    return Member(
        name=name(group, number),
        aggregates=tuple(group.get("aggregates", ())),
        options=options,
        pool=group.get("pool"),
        features=None if features is None else tuple(features),
        cpu=group.get("cpu"),
        slow=dict(group.get("slow", {})),
        fails=dict(group.get("fails", {})),
    )


def name(group: Mapping[str, Any], number: int) -> str:
    """Give the name of a group's host; a bad pattern raises what str.format does."""
    return str(group["name"].format(number=number))


def part(members: Sequence[Member], number: int, parts: int) -> list[Member]:
    """Give the share of one of several processes, from 1: every zone has hosts in each."""
    return list(members[number - 1 :: parts])


def _own(value: object, number: int) -> object:
    return value[number - 1] if isinstance(value, list) else value

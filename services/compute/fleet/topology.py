"""Topology files: which simulated hosts there are, in which zones, and how they behave.

A file is YAML, checked by schema.yaml beside this module; doc/scale.md tells
what it may say. A group stands for `count` hosts; a size that is a list holds
one number for each of them.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any
from typing import cast
from typing import NamedTuple
from typing import TYPE_CHECKING

import jsonschema
import yaml
from jsonschema import exceptions

from common import errors
from services.compute.fleet import member

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = pathlib.Path(__file__).with_name("schema.yaml")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
SIZES = ("vcpus", "memory_mb", "disk_gb")

Group = dict[str, Any]


class Topology(NamedTuple):
    """A file that holds together."""

    name: str  # of the file, for sentences
    seed: int
    aggregates: dict[str, dict[str, str]]  # name: metadata
    groups: list[Group]  # the defaults filled in

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return sum(group["count"] for group in self.groups)

    def members(self) -> list[member.Member]:
        """Give every host, group by group."""
        return [
            member.make(group, number)
            for group in self.groups
            for number in range(1, group["count"] + 1)
        ]


def read(path: str) -> Topology:
    """Read and check a file, or raise Invalid, naming the place and what may stand there."""
    file = pathlib.Path(path)
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as unreadable:
        raise errors.Invalid(f"the topology {path} cannot be read: {unreadable}") from unreadable
    except yaml.YAMLError as wrong:
        raise errors.Invalid(f"the topology {path} is not YAML: {wrong}") from wrong
    return parse(document, file.name)


def parse(document: object, name: str) -> Topology:
    """Check what a file holds, or raise Invalid."""
    _shaped(document, name)
    whole = cast("dict[str, Any]", document)
    defaults = whole.get("defaults", {})
    found = Topology(
        name=name,
        seed=whole.get("seed", 0),
        aggregates={key: dict(data) for key, data in whole.get("aggregates", {}).items()},
        groups=[_filled(defaults, group) for group in whole["groups"]],
    )
    for index, group in enumerate(found.groups):
        _sound(found, f"{name}: groups[{index}] ({group['name']})", group)
    _distinct(found)
    return found


def resized(topology: Topology, count: int) -> Topology:
    """Give a topology of `count` hosts in the same proportions, or raise Invalid.

    Every group keeps at least one host.
    """
    groups = topology.groups
    if count == topology.size:
        return topology
    if count < len(groups):
        raise errors.Invalid(
            f"{topology.name} has {len(groups)} groups of hosts, so {count} hosts are too few"
        )
    for group in groups:
        listed = [name for name in SIZES if isinstance(group.get(name), list)]
        if listed:
            raise errors.Invalid(
                f"{topology.name}: the group {group['name']} lists {', '.join(listed)} host by "
                f"host, so it cannot be resized; leave the number of hosts at {topology.size}"
            )
    counts = _shares([group["count"] for group in groups], count)
    made = [{**group, "count": share} for group, share in zip(groups, counts, strict=True)]
    return topology._replace(groups=made)


def _shares(weights: list[int], count: int) -> list[int]:
    """Divide by largest remainder what is left when everyone has one."""
    rest, total = count - len(weights), sum(weights)
    exact = [rest * weight / total for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: rest - sum(shares)]:
        shares[i] += 1
    return [share + 1 for share in shares]


def _shaped(document: object, name: str) -> None:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    found = list(jsonschema.Draft202012Validator(schema).iter_errors(document))
    if not found:
        return
    worst = max(found, key=exceptions.relevance)
    raise errors.Invalid(f"{name}: {_place(list(worst.absolute_path))}{worst.message}")


def _place(path: list[str | int]) -> str:
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{words.lstrip('.')}: " if words else ""


def _filled(defaults: Mapping[str, Any], group: Mapping[str, Any]) -> Group:
    """Fill the defaults in; tables in it are filled in key by key."""
    made = {**defaults, **group}
    for key, value in defaults.items():
        if isinstance(value, dict) and key in group:
            made[key] = {**value, **group[key]}
    return made


def _sound(topology: Topology, place: str, group: Group) -> None:
    """Check what no schema can: lists as long as the group, known aggregates, good names."""
    for name in SIZES:
        size = group.get(name)
        if isinstance(size, list) and len(size) != group["count"]:
            raise errors.Invalid(
                f"{place}: {name} lists {len(size)} numbers for {group['count']} hosts; "
                "list one for each, or give one number for all"
            )
    for aggregate in group.get("aggregates", []):
        if aggregate not in topology.aggregates:
            known = ", ".join(sorted(topology.aggregates)) or "none"
            raise errors.Invalid(
                f"{place}: no aggregate is named {aggregate}; under aggregates there are: {known}"
            )
    first = _named(place, group)
    if not HOST.fullmatch(first):
        raise errors.Invalid(
            f"{place}: {first!r} cannot be a host's name; use letters, digits, - and ."
        )


def _named(place: str, group: Group) -> str:
    try:
        return member.name(group, 1)
    except (KeyError, IndexError, ValueError, AttributeError) as wrong:
        raise errors.Invalid(
            f"{place}: the name is no pattern; write it like rack1-{{number:03}}"
        ) from wrong


def _distinct(topology: Topology) -> None:
    seen: set[str] = set()
    for group in topology.groups:
        for number in range(1, group["count"] + 1):
            name = member.name(group, number)
            if name in seen:
                raise errors.Invalid(
                    f"{topology.name}: two hosts are named {name}; names need {{number}}, and "
                    "each group a pattern of its own"
                )
            seen.add(name)

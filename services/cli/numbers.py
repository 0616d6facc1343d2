"""The numbers of a host with what they are made of: what was measured, kept back and promised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cliff import columns

from services.cli import api
from services.cli import command

GIB = 1 << 30
MIB_PER_GIB = 1024


class Sum(columns.FormattableColumn[Any]):
    """A number: with its formula for people, alone for programs."""

    def human_readable(self) -> str:
        """Give number and formula."""
        value, formula = self._value
        return f"{value} = {formula}" if formula else str(value)

    def machine_readable(self) -> object:
        """Give the number."""
        return self._value[0]


class Kind:
    """One resource class: the names of its numbers."""

    def __init__(self, name: str, total: str, used: str, foreign: str, reserved: str) -> None:
        """Take the names under which the API gives them."""
        self.name = name
        self.total = total
        self.used = used
        self.foreign = foreign
        self.reserved = reserved

    def kept(self, host: api.Row) -> int:
        """Give what the host keeps for itself, in the class's own unit."""
        kept = int(host.get(self.reserved) or 0)
        return math.ceil(kept / MIB_PER_GIB) if self.reserved.endswith("disk_mb") else kept

    def promised(self, host: api.Row) -> int:
        """Give what is claimed of it."""
        return int((host.get("allocations") or {}).get(self.name, 0))


VCPU = Kind("VCPU", "vcpus", "vcpus_used", "foreign_vcpus", "reserved_host_cpus")
MEMORY = Kind(
    "MEMORY_MB", "memory_mb", "memory_mb_used", "foreign_memory_mb", "reserved_host_memory_mb"
)
DISK = Kind("DISK_GB", "local_gb", "local_gb_used", "foreign_gb", "reserved_host_disk_mb")
UNITS = {"VCPU": "vCPUs {over}", "MEMORY_MB": "memory {over} MiB", "DISK_GB": "disk {over} GiB"}


def used(kind: Kind) -> Callable[[api.Row], object]:
    """Make the column of what is taken of a class."""

    def read(host: api.Row) -> object:
        parts = _parts(kind, host)
        return Sum((host.get(kind.used), " + ".join(parts)))

    return read


def free(kind: Kind, name: str) -> Callable[[api.Row], object]:
    """Make the column of what is not taken of a class, whatever its ratio."""

    def read(host: api.Row) -> object:
        parts = [str(host.get(kind.total)), *_parts(kind, host)]
        return Sum((host.get(name), " - ".join(parts)))

    return read


def left(kind: Kind, ratio: str) -> Callable[[api.Row], object]:
    """Make the column of what may still be promised of a class: what the scheduler counts."""

    def read(host: api.Row) -> object:
        total, kept, factor = int(host.get(kind.total) or 0), kind.kept(host), host.get(ratio) or 1
        foreign, promised = int(host.get(kind.foreign) or 0), kind.promised(host)
        value = math.floor((total - kept) * factor) - foreign - promised
        parts = [f"({total} - {kept} reserved) * {factor}"]
        parts += [f"{foreign} foreign"] if foreign else []
        return Sum((value, " - ".join([*parts, f"{promised} promised"])))

    return read


def least(host: api.Row) -> object:
    """Give disk_available_least as what is free less what disks may still grow."""
    usage = host.get("usage")
    if not usage:
        return Sum((host.get("disk_available_least"), ""))
    grows = sum(disk["may_grow_bytes"] for disk in usage["disks"]) / GIB
    free_gb = usage["disk_free_mb"] / MIB_PER_GIB
    formula = f"{free_gb:.1f} measured free - {grows:.1f} that {len(usage['disks'])} disks may grow"
    return Sum((host.get("disk_available_least"), formula))


def growing(host: api.Row) -> object:
    """Give the disks that may outgrow the file system, if they may, the greediest first."""
    usage = host.get("usage") or {}
    lacking = (host.get("disk_available_least") or 0) < 0
    return command.Lines([_disk(disk) for disk in usage.get("disks", [])] if lacking else [])


def foreign_guests(host: api.Row) -> object:
    """Give the domains that Whimbrel did not make, with what they take."""
    return command.Lines([_guest(guest) for guest in (host.get("usage") or {}).get("foreign", [])])


def over_promised(host: api.Row) -> str:
    """Say of what more is promised than there is, and by how much."""
    over = host.get("over_promised") or {}
    told = [UNITS[kind].format(over=over[kind]) for kind in UNITS if kind in over]
    return ", ".join(told)


def workable(host: api.Row) -> object:
    """Give the kinds of guest that the host can run."""
    kinds = (host.get("usage") or {}).get("supported_instances") or []
    names = ("architecture", "hypervisor_type", "vm_mode")
    return command.Lines(["/".join(str(kind[name]) for name in names) for kind in kinds])


def processor(host: api.Row) -> object:
    """Give the processors in short; their features are in the JSON of the API."""
    info = (host.get("usage") or {}).get("cpu_info")
    if not info:
        return None
    shape = (
        f"{info['cells']} cells, {info['sockets']} sockets, {info['cores']} cores, "
        f"{info['threads']} threads"
    )
    return f"{info['arch']} {info['vendor']} {info['model']}: {shape}"


def _parts(kind: Kind, host: api.Row) -> list[str]:
    foreign = host.get(kind.foreign)
    return [
        f"{kind.kept(host)} reserved",
        *([f"{foreign} foreign"] if foreign else []),
        f"{kind.promised(host)} promised",
    ]


def _disk(disk: api.Row) -> str:
    size, now, more = (
        disk[name] / GIB for name in ("virtual_bytes", "allocated_bytes", "may_grow_bytes")
    )
    return f"{disk['path']} may grow {more:.1f} GiB ({now:.1f} of {size:.1f}), {_owner(disk)}"


def _owner(disk: api.Row) -> str:
    return f"server {disk['instance_uuid']}"


def _guest(guest: api.Row) -> str:
    return (
        f"{guest['name']} ({guest['uuid']}): {guest['vcpus']} vCPUs, {guest['memory_mb']} MiB, "
        f"{guest['disk_gb']} GiB"
    )

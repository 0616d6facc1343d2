"""Is the hypervisor what flavor and image ask for."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from common.db import claims
from services.scheduler import operators

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.db.hosts import Kind
    from common.db.hosts import Room
    from services.scheduler.request import Request

SCOPE = "capabilities"

# Names that images give to an architecture: libvirt's own.
ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "i386": "i686", "arm64": "aarch64"}

# Property of the image, as it is called now and as it was: what it is about.
ARCHITECTURE = ("hw_architecture", "architecture")
TYPE = ("img_hv_type", "hypervisor_type")
VERSION = ("img_hv_requested_version", "hypervisor_version_requires")

COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def capabilities(host: Room, request: Request) -> str | None:
    """Refuse a host that lacks what the flavor's extra specs want of it.

    A key is that of CAPABILITIES, or "capabilities:" and such a key; other
    scopes, and other keys without one, are not about hosts.
    """
    for key, wanted in request.extra_specs.items():
        name = _capability(key)
        if name is None:
            continue
        found = CAPABILITIES.get(name)
        value = found(host, host.kind) if found else None
        if not operators.match(value, wanted):
            return f"{name} is {_told(value)}, the flavor wants {wanted}"
    return None


def image(host: Room, request: Request) -> str | None:
    """Refuse a host of another architecture, hypervisor or version than the image wants."""
    if not request.image:
        return None
    for keys, judge in JUDGES:
        wanted = next((request.image[key] for key in keys if key in request.image), None)
        reason = None if wanted is None else judge(host.kind, wanted)
        if reason is not None:
            return reason
    return None


def _architecture(kind: Kind, wanted: str) -> str | None:
    if ARCHITECTURES.get(wanted.lower(), wanted.lower()) == kind.architecture:
        return None
    return f"its architecture is {kind.architecture}, the image wants {wanted}"


def _type(kind: Kind, wanted: str) -> str | None:
    if wanted.lower() in {kind.hypervisor_type.lower(), kind.virt_type.lower()}:
        return None
    return f"its hypervisor is {kind.hypervisor_type} ({kind.virt_type}), the image wants {wanted}"


def _version(kind: Kind, wanted: str) -> str | None:
    here = _numbers(kind.hypervisor_version)
    for one in wanted.split(","):
        found = re.fullmatch(r"\s*(<=|>=|==|!=|<|>)?\s*(\d+(?:\.\d+)*)\s*", one)
        if found is None:
            return f"the image wants a version {wanted!r}, which cannot be read"
        there = tuple(int(part) for part in found[2].split("."))
        if not COMPARE[found[1] or "=="](here, there + (0,) * (3 - len(there))):
            return f"its hypervisor is of version {_dotted(here)}, the image wants {wanted}"
    return None


JUDGES: tuple[tuple[tuple[str, ...], Callable[[Kind, str], str | None]], ...] = (
    (ARCHITECTURE, _architecture),
    (TYPE, _type),
    (VERSION, _version),
)


def _numbers(version: int) -> tuple[int, ...]:
    """Take libvirt's number apart: 7002000 is 7.2.0."""
    return version // 1_000_000, version // 1000 % 1000, version % 1000


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _free(kind: str, factor: int = 1) -> Callable[[Room, Kind], str]:
    return lambda host, _kind: str(host.amounts[kind].free * factor)


def _total(kind: str) -> Callable[[Room, Kind], str]:
    return lambda host, _kind: str(host.amounts[kind].total)


# What an extra spec may ask of a host, under Nova's names where Nova has one.
CAPABILITIES: dict[str, Callable[[Room, Kind], operators.Value | None]] = {
    "architecture": lambda _host, kind: kind.architecture,
    "hypervisor_type": lambda _host, kind: kind.hypervisor_type,
    "hypervisor_version": lambda _host, kind: str(kind.hypervisor_version),
    "virt_type": lambda _host, kind: kind.virt_type,
    "machine_types": lambda _host, kind: kind.machine_types,
    "features": lambda _host, kind: kind.features,
    "cpu_info:arch": lambda _host, kind: kind.architecture,
    "cpu_info:model": lambda _host, kind: _cpu(kind, "model"),
    "cpu_info:vendor": lambda _host, kind: _cpu(kind, "vendor"),
    "cpu_info:features": lambda _host, kind: _cpu_features(kind),
    "free_ram_mb": _free(claims.MEMORY_MB),
    "free_disk_mb": _free(claims.DISK_GB, 1024),
    "free_disk_gb": _free(claims.DISK_GB),
    "vcpus_free": _free(claims.VCPU),
    "vcpus_total": _total(claims.VCPU),
    "total_usable_ram_mb": _total(claims.MEMORY_MB),
    "num_instances": lambda host, _kind: str(host.instances),
    "num_io_ops": lambda host, _kind: str(host.io_ops),
}


def _capability(key: str) -> str | None:
    scope, _, rest = key.partition(":")
    if scope == SCOPE and rest:
        return rest
    return key if key in CAPABILITIES else None


def _cpu(kind: Kind, name: str) -> str | None:
    return ET.fromstring(kind.cpu).findtext(name) if kind.cpu else None


def _cpu_features(kind: Kind) -> frozenset[str]:
    found = ET.fromstring(kind.cpu).iter("feature") if kind.cpu else ()
    return frozenset(feature.get("name", "") for feature in found)


def _told(value: operators.Value | None) -> str:
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else ", ".join(sorted(value)) or "nothing"

"""Every filter by the name that [scheduler] filters knows it by.

A filter gives None for a host that will do, else the reason with numbers. To
add one, write the function and its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from common import checks
from common import errors
from services.scheduler.filters import capacity
from services.scheduler.filters import service
from services.scheduler.filters import wishes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from common import objects
    from common.db.hosts import Room
    from services.scheduler.request import Request

    Filter: TypeAlias = Callable[[Room, Request], str | None]

FILTERS: dict[str, Filter] = {
    "up": service.up,
    "enabled": service.enabled,
    "zone": wishes.zone,
    "ignored": wishes.ignored,
    "requested": wishes.requested,
    "ram": capacity.ram,
    "cores": capacity.cores,
    "disk": capacity.disk,
}

# Filters about who is asked for at all: these hosts are left out of an explanation.
WISHES = ("ignored", "requested")

# What a filter saw in a host that it does not refuse.
SEEN: dict[str, Callable[[Room, Request], str]] = {
    "up": service.heard,
    "enabled": lambda _host, _request: "it is enabled",
    "zone": lambda host, _request: f"it is in availability zone {host.zone}",
    "ram": capacity.free_ram,
    "cores": capacity.free_cores,
    "disk": capacity.free_disk,
}


def choose(names: Iterable[str]) -> list[Filter]:
    """Give the filters of these names, in this order; an unknown one raises Invalid."""
    unknown = [name for name in names if name not in FILTERS]
    if unknown:
        raise errors.Invalid(
            f"[scheduler] filters names {', '.join(unknown)}; known are {', '.join(FILTERS)}"
        )
    return [FILTERS[name] for name in names]


def refusal(filters: Iterable[Filter], host: Room, request: Request) -> str | None:
    """Give the first filter's reason against the host, or None."""
    for refuse in filters:
        reason = refuse(host, request)
        if reason is not None:
            return reason
    return None


def wanted(host: Room, request: Request) -> bool:
    """Tell whether the request is about this host at all."""
    return all(FILTERS[name](host, request) is None for name in WISHES)


def explain(names: Iterable[str], host: Room, request: Request) -> list[objects.CheckResult]:
    """Give the answer of each filter of these names about the host, those about wishes apart."""
    return [_answer(name, host, request) for name in names if name not in WISHES]


def _answer(name: str, host: Room, request: Request) -> objects.CheckResult:
    reason = FILTERS[name](host, request)
    if reason is not None:
        return checks.failed(name, host.name, errors.HostUnsuitable(reason))
    seen = SEEN.get(name)
    return checks.passed(name, host.name, seen(host, request) if seen else "it agrees")

"""Every filter by the name that [scheduler] filters knows it by.

A filter gives None for a host that will do, else the reason with numbers. To
add one, write the function and its row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from services.scheduler.filters import capacity
from services.scheduler.filters import service
from services.scheduler.filters import wishes

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from typing import TypeAlias

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

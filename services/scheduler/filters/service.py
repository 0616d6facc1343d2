"""Is the host's compute service there, and may it be given work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import services

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def compute(host: Room, _request: Request) -> str | None:
    """Refuse a host whose compute service is silent, said to be down, or out of use."""
    if host.forced_down:
        return services.forced(host.name)
    if host.silent is None:
        return "its compute service has never reported"
    if not host.up:
        return f"its compute service is down, last seen {host.silent:.0f} s ago"
    if host.disabled:
        return f"it is disabled: {host.disabled_reason or 'no reason was given'}"
    return None


def heard(host: Room, _request: Request) -> str:
    """Say when the host's compute service was last heard of."""
    return f"its compute service is up and enabled, last seen {host.silent or 0:.0f} s ago"

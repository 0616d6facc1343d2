"""Is it a host that the request wants, or one that it does not want."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def zone(host: Room, request: Request) -> str | None:
    """Refuse a host outside the availability zone that was asked for."""
    if request.zone in {None, host.zone}:
        return None
    return f"it is in availability zone {host.zone}, {request.zone} is wanted"


def ignored(host: Room, request: Request) -> str | None:
    """Refuse a host that was tried already, or that the server leaves."""
    return "it is the source, or was tried before" if host.name in request.ignored else None


def requested(host: Room, request: Request) -> str | None:
    """Refuse every host but the one that was asked for, if one was."""
    if request.requested_host in {None, host.name}:
        return None
    return f"{request.requested_host} is wanted"

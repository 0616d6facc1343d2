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


def in_zone(host: Room, _request: Request) -> str:
    """Say which zone the host is in."""
    return f"it is in availability zone {host.zone}"


def retry(host: Room, request: Request) -> str | None:
    """Refuse a host that was tried already."""
    reason = request.tried.get(host.name)
    return None if reason is None else f"it was tried already: {reason}"


def same(host: Room, request: Request) -> str | None:
    """Refuse a host without the servers that the hint same_host names."""
    if request.same_hosts is None or host.name in request.same_hosts:
        return None
    there = ", ".join(sorted(request.same_hosts)) or "no host"
    return f"the servers of the hint same_host are on {there}"


def different(host: Room, request: Request) -> str | None:
    """Refuse a host that has a server that the hint different_host names."""
    if host.name not in request.different_hosts:
        return None
    return "it has a server of the hint different_host"


def storage(host: Room, request: Request) -> str | None:
    """Refuse a host that does not reach the storage that the guest's disks are on."""
    if request.storage is None or host.name in request.storage:
        return None
    reached = ", ".join(sorted(request.storage)) or "no host"
    return f"it does not reach the guest's disks; {reached} does"


def wanted(host: Room, request: Request) -> bool:
    """Tell whether the request is about this host at all."""
    if host.name in request.ignored:
        return False
    return request.requested_host in {None, host.name}

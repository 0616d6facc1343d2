"""Is there too much going on: what a host does, not what it has promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def io_ops(host: Room, request: Request) -> str | None:
    """Refuse a host that builds, moves or resizes as many servers as it may."""
    if host.io_ops < request.max_io_ops:
        return None
    return f"{host.io_ops} servers are built, moved or resized there, {request.max_io_ops} may be"


def work(host: Room, request: Request) -> str:
    """Say how much is going on there."""
    return f"{host.io_ops} of {request.max_io_ops} servers are built, moved or resized there"


def instances(host: Room, request: Request) -> str | None:
    """Refuse a host that has as many servers as it may."""
    if host.instances < request.max_instances:
        return None
    return f"{host.instances} servers are there, {request.max_instances} may be"


def living(host: Room, request: Request) -> str:
    """Say how many servers are there."""
    return f"{host.instances} of {request.max_instances} servers are there"

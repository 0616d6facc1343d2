"""What goes on at a host, and how it went lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def io_ops(host: Room, _request: Request) -> float:
    """Weigh a host by its servers that are built, moved or resized."""
    return float(host.io_ops)


def instances(host: Room, _request: Request) -> float:
    """Weigh a host by its servers."""
    return float(host.instances)


def failures(host: Room, _request: Request) -> float:
    """Weigh a host by the builds and moves that failed there lately; a success forgets them."""
    return float(host.failures)

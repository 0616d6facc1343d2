"""Does it fit: what is promised already counts, not what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import claims

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def ram(host: Room, request: Request) -> str | None:
    """Refuse a host without the memory."""
    return _fits(host, request, claims.MEMORY_MB)


def cores(host: Room, request: Request) -> str | None:
    """Refuse a host without the virtual processors."""
    return _fits(host, request, claims.VCPU)


def disk(host: Room, request: Request) -> str | None:
    """Refuse a host without the disk."""
    return _fits(host, request, claims.DISK_GB)


def _fits(host: Room, request: Request, kind: str) -> str | None:
    return claims.short(kind, host.amounts.get(kind), request.amounts[kind])

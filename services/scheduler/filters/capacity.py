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


def free_ram(host: Room, request: Request) -> str:
    """Say how much memory is free."""
    return _free(host, request, claims.MEMORY_MB)


def free_cores(host: Room, request: Request) -> str:
    """Say how many virtual processors are free."""
    return _free(host, request, claims.VCPU)


def free_disk(host: Room, request: Request) -> str:
    """Say how much disk is free."""
    return _free(host, request, claims.DISK_GB)


def _fits(host: Room, request: Request, kind: str) -> str | None:
    return claims.short(kind, host.amounts.get(kind), request.amounts[kind])


def _free(host: Room, request: Request, kind: str) -> str:
    amount = host.amounts.get(kind)
    free, capacity = (amount.free, amount.capacity) if amount else (0, 0)
    return claims.SHORT[kind].format(free=free, capacity=capacity, need=request.amounts[kind])

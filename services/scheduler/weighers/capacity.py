"""How much of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import claims

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def ram(host: Room, _request: Request) -> float:
    """Weigh a host by its free memory in MiB."""
    return _free(host, claims.MEMORY_MB)


def cores(host: Room, _request: Request) -> float:
    """Weigh a host by its free virtual processors."""
    return _free(host, claims.VCPU)


def disk(host: Room, _request: Request) -> float:
    """Weigh a host by its free disk in GiB."""
    return _free(host, claims.DISK_GB)


def _free(host: Room, kind: str) -> float:
    amount = host.amounts.get(kind)
    return float(amount.free) if amount else 0.0

"""How much of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import claims

if TYPE_CHECKING:
    from common.db.hosts import Room


def ram(host: Room) -> float:
    """Weigh a host by its free memory in MiB."""
    return float(host.amounts[claims.MEMORY_MB].free)

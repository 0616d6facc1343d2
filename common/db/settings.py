"""Numbers that operators change while everything runs, the same for every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from common.db import tables

if TYPE_CHECKING:
    from common.db.engine import Tx

_T = tables.SETTINGS

# Moves at once, of and to each host; until one is set, the option of [conductor] of its name holds.
LIMITS = ("max_outbound", "max_inbound", "max_copies_outbound", "max_copies_inbound")


def get(tx: Tx, name: str, default: int) -> int:
    """Give the number that was set last, or the default."""
    row = tx.row(sa.select(_T.c.value).where(_T.c.name == name))
    return default if row is None else int(row["value"])


def limits(tx: Tx, configured: object) -> dict[str, int]:
    """Give every limit, as it was set last or as [conductor] has it."""
    return {name: get(tx, name, getattr(configured, name)) for name in LIMITS}


def put(tx: Tx, name: str, value: int) -> None:
    """Set a number."""
    if not tx.insert(_T, {"name": name, "value": value}):
        tx.run(sa.update(_T).where(_T.c.name == name).values(value=value))

"""Numbers that operators change while everything runs, the same for every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from common.db import tables

if TYPE_CHECKING:
    from common.db.engine import Tx

_T = tables.SETTINGS


def get(tx: Tx, name: str, default: int) -> int:
    """Give the number that was set last, or the default."""
    row = tx.row(sa.select(_T.c.value).where(_T.c.name == name))
    return default if row is None else int(row["value"])


def put(tx: Tx, name: str, value: int) -> None:
    """Set a number."""
    if not tx.insert(_T, {"name": name, "value": value}):
        tx.run(sa.update(_T).where(_T.c.name == name).values(value=value))

"""When finished cold moves confirm themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import moves
from common.db import tables

if TYPE_CHECKING:
    import datetime
    from collections.abc import Collection

    from common import objects
    from common.db.engine import Tx

_T = tables.MIGRATIONS


def due(tx: Tx, now: datetime.datetime) -> list[objects.Migration]:
    """Give the finished cold moves that confirm themselves by now."""
    query = sa.select(_T).where(_T.c.status == states.Move.FINISHED, _T.c.confirm_at <= now)
    return [moves.make(row) for row in tx.rows(query.order_by(_T.c.id))]


def times(tx: Tx, instances: Collection[str]) -> dict[str, datetime.datetime]:
    """Give when each of these servers confirms itself, of those that do."""
    if not instances:
        return {}
    query = sa.select(_T.c.instance_uuid, _T.c.confirm_at).where(
        _T.c.instance_uuid.in_(sorted(instances)),
        _T.c.status == states.Move.FINISHED,
        _T.c.confirm_at.is_not(None),
    )
    return {row["instance_uuid"]: row["confirm_at"] for row in tx.rows(query)}

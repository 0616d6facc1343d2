"""Claims that nobody needs any more: their consumer is gone, or lives elsewhere.

A claim is a leftover by what the other rows say, and not by its age: while
something is being done to a server, or a move of it has not ended, all that it
holds may be needed.
"""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import claims
from common.db import tables

if TYPE_CHECKING:
    from common.db.engine import Tx

_A = tables.ALLOCATIONS.c
_S = tables.SERVERS.c
_M = tables.MIGRATIONS.c


class Leftover(NamedTuple):
    """A claim without a reason, and what is known of its consumer."""

    consumer: str
    host: str
    why: str


def find(tx: Tx, consumer: str | None = None, host: str | None = None) -> list[Leftover]:
    """Give the leftovers of all consumers and hosts, or of those named."""
    joined = tables.ALLOCATIONS.outerjoin(tables.SERVERS, _S.uuid == _A.consumer).outerjoin(
        tables.MIGRATIONS, _M.uuid == _A.consumer
    )
    query = (
        sa.select(_A.consumer, _A.host, _S.vm_state, _S.host, _M.status)
        .select_from(joined)
        .where(sa.not_(sa.or_(_server_needs(), _move_needs())))
        .distinct()
        .order_by(_A.host, _A.consumer)
    )
    if consumer is not None:
        query = query.where(_A.consumer == consumer)
    if host is not None:
        query = query.where(_A.host == host)
    return [Leftover(row[0], row[1], _why(*row[2:])) for row in tx.tuples(query)]


def release(tx: Tx, leftover: Leftover) -> bool:
    """Give a leftover back, unless it is needed by now; tells whether it was one.

    The host's row is held while it is looked at again: a claim of this very
    consumer is made before, and then needed, or afterwards.
    """
    claims.lock(tx, [leftover.host])
    if not find(tx, leftover.consumer, leftover.host):
        return False
    claims.release(tx, leftover.consumer, leftover.host)
    return True


def moves() -> sa.ColumnElement[bool]:
    """Tell of a server whether it has a move that goes on, or that nobody has understood."""
    other = tables.MIGRATIONS.alias("other")
    held = tables.ALLOCATIONS.alias("held")
    waits = sa.exists().where(held.c.consumer == other.c.uuid)
    goes_on = other.c.status.not_in(sorted(states.TERMINAL))
    lost = sa.and_(other.c.status == states.Move.ERROR, waits)
    return sa.exists().where(other.c.instance_uuid == _S.uuid, sa.or_(goes_on, lost))


def _server_needs() -> sa.ColumnElement[bool]:
    """Whether the consumer is a server that lives here, or with which something is going on."""
    return sa.and_(
        _S.uuid.is_not(None),
        sa.func.coalesce(_S.vm_state, "") != states.Vm.DELETED,
        sa.or_(
            _S.host.is_not_distinct_from(_A.host),
            _S.task_state.is_not(None),
            moves(),
        ),
    )


def _move_needs() -> sa.ColumnElement[bool]:
    """Whether the consumer is a move that has not ended well; one in error waits for a person."""
    done = sorted(states.TERMINAL - {states.Move.ERROR})
    return sa.and_(_M.uuid.is_not(None), sa.func.coalesce(_M.status, "").not_in(done))


def _why(vm_state: str | None, lives: str | None, status: str | None) -> str:
    if vm_state == states.Vm.DELETED:
        return "the server is deleted"
    if vm_state is not None:
        return f"the server is {vm_state} on {lives or 'no host'}, and is not being moved"
    if status is not None:
        return f"the migration is {status}"
    return "there is no server and no migration of this id"

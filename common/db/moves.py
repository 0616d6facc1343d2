"""Moves: the rows of migrations, written by compare-and-swap on their status.

Live moves wait in line, `queued`, for a slot of their source and of their
destination; `admit` lets them go on. Cold moves that are prepared wait in a
line of their own for their copy; `admit_copies` lets them.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common import states
from common.db import rows
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from common.db.engine import Tx

_T = tables.MIGRATIONS

# The step of a cold move that copies its disks.
COPY = "resize_instance"

FILTERS = frozenset(
    {
        "uuid",
        "type",
        "status",
        "instance_uuid",
        "source",
        "destination",
        "owner",
        "request_id",
        "project_id",
        "user_id",
    }
)


def create(tx: Tx, migration: objects.Migration) -> objects.Migration:
    """Write a new move and give it as it is read back, with its number."""
    values = rows.pick(_T, migration)
    values["created_at"] = values["updated_at"] = migration.created_at or tx.now()
    if not tx.insert(_T, values):
        raise errors.Exists(f"migration {migration.uuid} exists already")
    return get(tx, migration.uuid)


def get(tx: Tx, uuid: str) -> objects.Migration:
    """Give a move by its uuid, or raise MigrationNotFound."""
    return _one(tx, sa.select(_T).where(_T.c.uuid == uuid), uuid)


def hold(tx: Tx, uuid: str) -> objects.Migration:
    """Give a move that nobody else changes until the transaction ends, or MigrationNotFound."""
    return _one(tx, sa.select(_T).where(_T.c.uuid == uuid).with_for_update(), uuid)


def get_by_id(tx: Tx, number: int) -> objects.Migration:
    """Give a move by its number, or raise MigrationNotFound."""
    return _one(tx, sa.select(_T).where(_T.c.id == number), number)


def own(found: objects.Migration, server: str, key: str) -> objects.Migration:
    """Give a move that was asked for by `key`, if it is the server's; else MigrationNotFound."""
    if found.instance_uuid != server:
        raise errors.MigrationNotFound(
            f"server {server} has no migration {key}; "
            f"see: whimbrel migration list --server {server}"
        )
    return found


def find(
    tx: Tx,
    *,
    limit: int | None = None,
    marker: str | None = None,
    host: str | None = None,
    changes_since: datetime.datetime | None = None,
    **filters: object,
) -> list[objects.Migration]:
    """Give moves, newest first, from behind the one whose uuid is the marker.

    `filters` are those of FILTERS, each a value or a collection; `host` is
    source or destination.
    """
    query = sa.select(_T)
    if host is not None:
        query = query.where(sa.or_(_T.c.source == host, _T.c.destination == host))
    if changes_since is not None:
        query = query.where(_T.c.updated_at >= changes_since)
    for name, wanted in filters.items():
        if name not in FILTERS:
            raise errors.Invalid(f"migrations cannot be filtered by {name}")
        query = query.where(rows.matches(_T.c[name], wanted))
    behind = None if marker is None else _T.c.uuid == marker
    return [make(row) for row in rows.page(tx, query, behind, _T.c.id, limit)]


def active(tx: Tx, instance_uuid: str) -> objects.Migration | None:
    """Give the server's move that has not ended yet, or None."""
    query = sa.select(_T).where(_T.c.instance_uuid == instance_uuid, _going())
    row = tx.row(query.order_by(_T.c.id.desc()))
    return None if row is None else make(row)


def unsettled(tx: Tx, instance_uuid: str) -> list[objects.Migration]:
    """Give the server's moves that ended in error and still hold room: where is the guest?"""
    holds = sa.exists().where(tables.ALLOCATIONS.c.consumer == _T.c.uuid)
    query = sa.select(_T).where(
        _T.c.instance_uuid == instance_uuid, _T.c.status == states.Move.ERROR, holds
    )
    return [make(row) for row in tx.rows(query.order_by(_T.c.id))]


def change(
    tx: Tx,
    uuid: str,
    *,
    expected: Collection[str],
    generation: int | None = None,
    at: Collection[str | None] | None = None,
    renumber: bool = False,
    **values: object,
) -> objects.Migration:
    """Write the values if status and generation are as expected, and give the row.

    Of the expected statuses only those count from which the table of states
    allows the new one; of `at`, if given, is the expected step of a cold move,
    None for one that has none. With `renumber` the generation rises: what hosts
    say of the one before is late.
    Raises StaleWrite, which names what the move is instead, and
    MigrationNotFound.
    """
    now = tx.now()
    values["updated_at"] = now
    status = values.get("status")
    if status is not None:
        expected = _before(get(tx, uuid).type, expected, str(status))
        if status in states.TERMINAL:
            values.setdefault("finished_at", now)
    where = [_T.c.uuid == uuid, rows.matches(_T.c.status, [str(one) for one in expected])]
    if generation is not None:
        where.append(_T.c.generation == generation)
    if at is not None:
        where.append(rows.matches(_T.c.stage, at))
    if renumber:
        values["generation"] = _T.c.generation + 1
    if not tx.count(sa.update(_T).where(*where).values(values)):
        raise _stale(get(tx, uuid), expected, generation, status)
    return get(tx, uuid)


def advance(
    tx: Tx,
    read: objects.Migration,
    *,
    renumber: bool = False,
    **values: Any,  # noqa: ANN401 - columns
) -> objects.Migration:
    """Change a move as long as it stands where it was read: same status, generation and step."""
    return change(
        tx,
        read.uuid,
        expected={read.status},
        generation=read.generation,
        at={read.stage},
        renumber=renumber,
        **values,
    )


def progress(tx: Tx, report: objects.MigrationProgress) -> bool:
    """Write how far a move is, and tell whether it was taken.

    A report of an older generation, or of a move that does not run, is
    ignored; the percentage never falls.
    """
    row = tx.row(
        sa.select(_T)
        .where(
            _T.c.uuid == report.migration_uuid,
            _T.c.generation == report.generation,
            _T.c.status.in_(sorted(states.IN_SLOT | {states.Move.MIGRATING})),
        )
        .with_for_update()
    )
    if row is None:
        return False
    before = row["progress"]
    percent = max(report.percent, before.percent) if before else report.percent
    tx.run(
        sa.update(_T)
        .where(_T.c.uuid == report.migration_uuid)
        .values(progress=report.replace(percent=percent), updated_at=tx.now())
    )
    return True


def renew(tx: Tx, uuid: str, owner: str, lease_until: datetime.datetime) -> None:
    """Go on owning a move, or raise StaleWrite when it ended or is another's."""
    mine = [_T.c.uuid == uuid, _T.c.owner == owner, _going()]
    if tx.count(sa.update(_T).where(*mine).values(lease_until=lease_until)):
        return
    found = get(tx, uuid)
    raise errors.StaleWrite(
        f"migration {uuid} is {found.status} and owned by {found.owner or 'nobody'}, not {owner}",
        status=found.status,
        owner=found.owner,
    )


def expired(tx: Tx, now: datetime.datetime) -> list[objects.Migration]:
    """Give the moves that go on, but whose owner has not renewed in time; oldest first."""
    query = sa.select(_T).where(_going(), _T.c.lease_until < now).order_by(_T.c.id)
    return [make(row) for row in tx.rows(query)]


def take(
    tx: Tx, uuid: str, owner: str, now: datetime.datetime, lease_until: datetime.datetime
) -> objects.Migration:
    """Take over a move whose lease ran out, raising its generation, or raise StaleWrite."""
    values = {"owner": owner, "lease_until": lease_until, "generation": _T.c.generation + 1}
    return _ran_out(tx, uuid, now, values)


def extend(
    tx: Tx, uuid: str, now: datetime.datetime, lease_until: datetime.datetime
) -> objects.Migration:
    """Leave a move whose lease ran out to its owner for longer, or raise StaleWrite.

    Of many who look after it one succeeds, and tells the owner.
    """
    return _ran_out(tx, uuid, now, {"lease_until": lease_until})


def _ran_out(
    tx: Tx, uuid: str, now: datetime.datetime, values: dict[str, object]
) -> objects.Migration:
    silent = [_T.c.uuid == uuid, _going(), _T.c.lease_until < now]
    if tx.count(sa.update(_T).where(*silent).values(values)):
        return get(tx, uuid)
    found = get(tx, uuid)
    raise errors.StaleWrite(
        f"migration {uuid} is {found.status} and owned by {found.owner or 'nobody'} "
        f"until {found.lease_until}",
        status=found.status,
        owner=found.owner,
    )


def admit(
    tx: Tx, max_outbound: int, max_inbound: int, owner: str, lease_until: datetime.datetime
) -> list[objects.Migration]:
    """Turn queued live moves into preparing, oldest first, as far as the limits allow.

    One process admits at a time, so the limits hold at every instant. A move
    that must wait does not hold up those between other hosts.
    """
    tx.run(sa.select(tables.LOCKS).where(tables.LOCKS.c.name == "admission").with_for_update())
    leaving, entering = _slots(tx)
    admitted = []
    for uuid, source, destination in _line(tx):
        if leaving[source] >= max_outbound or entering[destination] >= max_inbound:
            continue
        # One that was aborted since it was read leaves its slot to the next.
        with contextlib.suppress(errors.StaleWrite):
            admitted.append(
                change(
                    tx,
                    uuid,
                    expected={states.Move.QUEUED},
                    status=states.Move.PREPARING,
                    owner=owner,
                    lease_until=lease_until,
                )
            )
            leaving[source] += 1
            entering[destination] += 1
    return admitted


def admit_copies(tx: Tx, max_outbound: int, max_inbound: int) -> list[objects.Migration]:
    """Choose the cold moves whose copy may begin, oldest first, as far as the limits allow.

    The caller begins them in this transaction: one process chooses at a time.
    """
    tx.run(sa.select(tables.LOCKS).where(tables.LOCKS.c.name == "admission").with_for_update())
    # A move that is undone keeps its status, and copies nothing any more.
    copying = tx.tuples(
        sa.select(_T.c.source, _T.c.destination).where(
            _T.c.status == states.Move.MIGRATING, _T.c.stage == COPY
        )
    )
    leaving = collections.Counter(source for source, _ in copying)
    entering = collections.Counter(destination for _, destination in copying)
    admitted = []
    for move in copies_waiting(tx):
        if leaving[move.source] >= max_outbound or entering[move.destination] >= max_inbound:
            continue
        admitted.append(move)
        leaving[move.source] += 1
        entering[move.destination] += 1
    return admitted


def copies_waiting(tx: Tx) -> list[objects.Migration]:
    """Give the cold moves that are prepared and wait for their copy, oldest first."""
    query = sa.select(_T).where(_T.c.status == states.Move.PRE_MIGRATING, _T.c.stage == COPY)
    return [make(row) for row in tx.rows(query.order_by(_T.c.id))]


def position(tx: Tx, uuid: str) -> int | None:
    """Give the place of a move in the line for its slot or its copy, from 1; None in neither."""
    for line in ([row[0] for row in _line(tx)], [move.uuid for move in copies_waiting(tx)]):
        if uuid in line:
            return line.index(uuid) + 1
    return None


def make(row: dict[str, Any]) -> objects.Migration:
    """Make the object of a row."""
    return rows.make(objects.Migration, row)


def _going() -> sa.ColumnElement[bool]:
    return _T.c.status.not_in(sorted(states.TERMINAL))


def _one(tx: Tx, query: sa.Select[Any], key: object) -> objects.Migration:
    row = tx.row(query)
    if row is None:
        raise errors.MigrationNotFound(
            f"migration {key} does not exist; see: whimbrel migration list"
        )
    return make(row)


def _before(kind: str, expected: Collection[str], status: str) -> list[str]:
    """Give those of the expected statuses from which a move may get this one."""
    return [
        one
        for one in expected
        if states.allowed(states.Kind(kind), states.Move(one), states.Move(status))
    ]


def _stale(
    found: objects.Migration, expected: Collection[str], generation: int | None, status: object
) -> errors.StaleWrite:
    wanted = " or ".join(sorted(expected)) or f"anything that can become {status}"
    of = "" if generation is None else f" of generation {generation}"
    return errors.StaleWrite(
        f"migration {found.uuid} is {found.status} of generation {found.generation}, "
        f"not {wanted}{of}",
        status=found.status,
        generation=found.generation,
    )


def _slots(tx: Tx) -> tuple[collections.Counter[str], collections.Counter[str]]:
    """Count the live moves that hold a slot, per source and per destination."""
    query = sa.select(_T.c.source, _T.c.destination).where(
        _T.c.type == states.Kind.LIVE, _T.c.status.in_(sorted(states.IN_SLOT))
    )
    found = tx.tuples(query)
    return (
        collections.Counter(source for source, _ in found),
        collections.Counter(destination for _, destination in found),
    )


def _line(tx: Tx) -> list[tuple[str, str, str]]:
    query = (
        sa.select(_T.c.uuid, _T.c.source, _T.c.destination)
        .where(
            _T.c.type == states.Kind.LIVE,
            _T.c.status == states.Move.QUEUED,
            _T.c.destination.is_not(None),
        )
        .order_by(_T.c.id)
    )
    return [(uuid, source, destination) for uuid, source, destination in tx.tuples(query)]

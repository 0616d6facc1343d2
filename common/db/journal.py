"""The journal of moves, and the actions that users see."""

from __future__ import annotations

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

_S = tables.STEPS
_A = tables.ACTIONS
_E = tables.EVENTS

RESULTS = {states.StepState.DONE: "Success", states.StepState.FAILED: "Error"}


def step(tx: Tx, row: objects.MigrationStep) -> None:
    """Write a step of a move, or how it ended.

    A repeat changes nothing, and a step that ended never becomes started
    again, in whatever order the messages come.
    """
    key = {name: getattr(row, name) for name in ("migration_uuid", "step", "host", "attempt")}
    if tx.insert(_S, rows.pick(_S, row)) or row.state == states.StepState.STARTED:
        return
    where = [_S.c[name] == value for name, value in key.items()]
    ended = {name: getattr(row, name) for name in ("state", "finished_at", "error_code", "error")}
    open_still = _S.c.state == states.StepState.STARTED
    tx.run(sa.update(_S).where(*where, open_still).values(ended))


def steps(tx: Tx, migration_uuid: str) -> list[objects.MigrationStep]:
    """Give a move's steps in the order in which they began."""
    query = sa.select(_S).where(_S.c.migration_uuid == migration_uuid)
    return [
        rows.make(objects.MigrationStep, row)
        for row in tx.rows(query.order_by(_S.c.started_at, _S.c.id))
    ]


def failures(tx: Tx, names: Collection[str], codes: Collection[str]) -> list[objects.MigrationStep]:
    """Give the steps of these names whose last attempt failed with one of the codes.

    Only of moves that are over: while one goes on, its hosts care.
    """
    moves, later = tables.MIGRATIONS, _S.alias()
    again = sa.exists().where(
        later.c.migration_uuid == _S.c.migration_uuid,
        later.c.step == _S.c.step,
        later.c.host == _S.c.host,
        later.c.attempt > _S.c.attempt,
    )
    query = (
        sa.select(_S)
        .join(moves, moves.c.uuid == _S.c.migration_uuid)
        .where(
            _S.c.step.in_(sorted(names)),
            _S.c.state == states.StepState.FAILED,
            _S.c.error_code.in_(sorted(codes)),
            moves.c.status.in_(sorted(states.TERMINAL)),
            ~again,
        )
        .order_by(_S.c.id)
    )
    return [rows.make(objects.MigrationStep, row) for row in tx.rows(query)]


def start(tx: Tx, action: objects.InstanceAction) -> None:
    """Write that somebody asked something of a server; a repeat changes nothing."""
    values = rows.pick(_A, action)
    values["updated_at"] = action.updated_at or action.started_at
    tx.insert(_A, values)


def begin_event(
    tx: Tx,
    request_id: str,
    instance_uuid: str,
    event: str,
    host: str | None,
    now: datetime.datetime,
) -> None:
    """Write that a part of an action began; one that is going on is left as it is.

    Raises ActionNotFound.
    """
    number = _number(tx, instance_uuid, request_id)
    if tx.row(sa.select(_E.c.id).where(*_going_on(number, event, host))) is not None:
        return
    values = {"action_id": number, "event": event, "host": host, "started_at": now}
    tx.run(sa.insert(_E).values(values))
    tx.run(sa.update(_A).where(_A.c.id == number).values(updated_at=now))


def end_event(
    tx: Tx,
    request_id: str,
    instance_uuid: str,
    event: str,
    host: str | None,
    now: datetime.datetime,
    error: str | None = None,
) -> None:
    """Write how a part of an action ended: with an error, or well; twice does no harm.

    Raises ActionNotFound.
    """
    number = _number(tx, instance_uuid, request_id)
    result = "Success" if error is None else "Error"
    ended = {"finished_at": now, "result": result, "details": error}
    tx.run(sa.update(_E).where(*_going_on(number, event, host)).values(ended))
    tx.run(sa.update(_A).where(_A.c.id == number).values(updated_at=now))


def finish(
    tx: Tx, request_id: str, instance_uuid: str, now: datetime.datetime, error: str | None = None
) -> None:
    """Write that an action and what is open of it ended, with what went wrong if anything.

    A repeat changes nothing.
    """
    row = tx.row(
        sa.select(_A.c.id).where(
            _A.c.instance_uuid == instance_uuid,
            _A.c.request_id == request_id,
            _A.c.finished_at.is_(None),
        )
    )
    if row is None:
        return
    ended = {"finished_at": now, "updated_at": now, "message": error}
    tx.run(sa.update(_A).where(_A.c.id == row["id"]).values(ended))
    rest = {
        "finished_at": now,
        "result": "Success" if error is None else "Error",
        "details": error,
    }
    still = [_E.c.action_id == row["id"], _E.c.finished_at.is_(None)]
    tx.run(sa.update(_E).where(*still).values(rest))


def actions(
    tx: Tx, instance_uuid: str, *, limit: int | None = None, marker: str | None = None
) -> list[objects.InstanceAction]:
    """Give what was asked of a server, newest first, without events.

    The marker is a request id; an unknown one raises Invalid.
    """
    mine = _A.c.instance_uuid == instance_uuid
    behind = None if marker is None else sa.and_(mine, _A.c.request_id == marker)
    found = rows.page(tx, sa.select(_A).where(mine), behind, _A.c.id, limit)
    return [rows.make(objects.InstanceAction, row) for row in found]


def action(tx: Tx, instance_uuid: str, request_id: str) -> objects.InstanceAction:
    """Give one action with its events, the steps of its move among them.

    Raises ActionNotFound.
    """
    number = _number(tx, instance_uuid, request_id)
    row = tx.rows(sa.select(_A).where(_A.c.id == number))[0]
    own = [
        rows.make(objects.InstanceEvent, found)
        for found in tx.rows(sa.select(_E).where(_E.c.action_id == number))
    ]
    events = sorted(
        own + _from_steps(tx, instance_uuid, request_id), key=lambda event: event.started_at
    )
    return rows.make(objects.InstanceAction, row, events=events)


def _from_steps(tx: Tx, instance_uuid: str, request_id: str) -> list[objects.InstanceEvent]:
    moves = tables.MIGRATIONS
    query = (
        sa.select(_S)
        .join(moves, moves.c.uuid == _S.c.migration_uuid)
        .where(moves.c.request_id == request_id, moves.c.instance_uuid == instance_uuid)
    )
    return [_event(row) for row in tx.rows(query)]


def _event(row: dict[str, Any]) -> objects.InstanceEvent:
    return objects.InstanceEvent(
        event=row["step"],
        host=row["host"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        result=RESULTS.get(row["state"]),
        details=row["error"],
    )


def _going_on(number: int, event: str, host: str | None) -> list[sa.ColumnElement[bool]]:
    return [
        _E.c.action_id == number,
        _E.c.event == event,
        rows.matches(_E.c.host, host),
        _E.c.finished_at.is_(None),
    ]


def _number(tx: Tx, instance_uuid: str, request_id: str) -> int:
    row = tx.row(
        sa.select(_A.c.id).where(_A.c.instance_uuid == instance_uuid, _A.c.request_id == request_id)
    )
    if row is None:
        raise errors.ActionNotFound(
            f"server {instance_uuid} has no action {request_id}; "
            f"see: whimbrel migration list --server {instance_uuid}"
        )
    number: int = row["id"]
    return number

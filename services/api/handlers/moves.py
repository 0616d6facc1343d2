"""Moves: those of one server that are going on, and those of all servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common import states
from common.db import journal
from common.db import moves
from services.api import paging
from services.api import schemas
from services.api import versions
from services.api.handlers import find
from services.api.handlers import policies
from services.api.schemas import actions as bodies
from services.api.views import migrations as views

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON

GOING_ON = frozenset(
    {
        states.Move.ACCEPTED,
        states.Move.QUEUED,
        states.Move.PREPARING,
        states.Move.RUNNING,
        states.Move.POSTCOPY,
        states.Move.POST_MIGRATING,
    }
)

# From the microversion on, the statuses in which a move can be aborted; newest first.
ABORTABLE: tuple[tuple[versions.Version, frozenset[states.Move]], ...] = (
    (
        (2, 65),
        frozenset(
            {
                states.Move.ACCEPTED,
                states.Move.QUEUED,
                states.Move.PREPARING,
                states.Move.RUNNING,
            }
        ),
    ),
    ((2, 24), frozenset({states.Move.RUNNING})),
)

# The guest runs, or may run, at the destination.
HANDED_OVER = frozenset({states.Move.POSTCOPY, states.Move.POST_MIGRATING})

# A live move waits for its slot, a cold one for its copy.
WAITING = frozenset({states.Move.QUEUED, states.Move.PRE_MIGRATING})

PAGED: versions.Version = (2, 59)

# Query parameter of /os-migrations: the filter it is.
FILTERS = {
    "instance_uuid": "instance_uuid",
    "status": "status",
    "migration_type": "type",
    "source_compute": "source",
    "host": "host",
}
OWNERS = {"user_id": "user_id", "project_id": "project_id"}
OWNED: versions.Version = (2, 80)


def list_going_on(call: Call, server_id: str) -> JSON:
    """Give the live migrations of a server that have not ended."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
        found = moves.find(
            tx,
            instance_uuid=server_id,
            type=states.Kind.LIVE,
            status=sorted(GOING_ON),
            limit=call.parts.conf.api.max_limit,
        )
    return {"migrations": [views.going_on(call, move) for move in found]}


def show_going_on(call: Call, server_id: str, migration_id: str) -> JSON:
    """Give one live migration of a server, if it has not ended."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
        move = find.move(tx, server_id, migration_id)
    if move.type != states.Kind.LIVE or move.status not in GOING_ON:
        raise errors.MigrationNotFound(
            f"migration {migration_id} of server {server_id} is not in progress: it is "
            f"{move.status}; see it whole: whimbrel migration show {move.uuid}"
        )
    return {"migration": views.going_on(call, move)}


def abort_move(call: Call, server_id: str, migration_id: str) -> None:
    """Cancel or stop a migration; for a live one 409 for the server's state, 400 for the move's."""
    move = _cold(call, server_id, migration_id) or _abortable(call, server_id, migration_id)
    try:
        call.parts.conductor.abort_migration(call.context, server_id, move.uuid)
    except errors.WrongState as changed:
        raise errors.Invalid(changed.message) from changed


def _cold(call: Call, server_id: str, key: str) -> objects.Migration | None:
    """Give the cold move of this key, if the server has one: Nova aborts live ones only."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
        cold = moves.find(tx, instance_uuid=server_id, type=[states.Kind.COLD, states.Kind.RESIZE])
    return next((move for move in cold if key in {move.uuid, str(move.id)}), None)


def _abortable(call: Call, server_id: str, migration_id: str) -> objects.Migration:
    """Give a live migration that can be aborted, or refuse it in Nova's way."""
    move = _of_moving_server(call, server_id, migration_id, "live_migration_abort")
    allowed = next(statuses for since, statuses in ABORTABLE if call.version >= since)
    if move.status not in allowed:
        raise errors.Invalid(
            f"migration {move.id} of server {server_id} cannot be aborted while it is "
            f"{move.status}{_there(move)}; it can be while {_words(allowed)}"
        )
    return move


def act_on_move(call: Call, server_id: str, migration_id: str) -> JSON | None:
    """Do the one action that the body names to a live migration."""
    name = schemas.only_key(call.body)
    action = ACTIONS.get(name)
    if action is None:
        raise errors.Invalid(
            f"there is no such action of a migration: {name}; there are {', '.join(ACTIONS)}"
        )
    schemas.check(call.body, action.schema, call.version)
    move = action.find(call, server_id, migration_id, name)
    try:
        return action.act(call, move, call.body[name])
    except errors.WrongState as changed:
        raise errors.Invalid(changed.message) from changed


def list_moves(call: Call) -> JSON:
    """Give moves of all servers, newest first."""
    paged = call.version >= PAGED
    limit = paging.limit(call) if paged else call.parts.conf.api.max_limit
    if limit == 0:
        return {"migrations": []}
    with call.parts.database.read() as tx:
        found = moves.find(
            tx,
            limit=limit,
            marker=paging.marker(call) if paged else None,
            changes_since=paging.moment(call, "changes-since") if paged else None,
            **_filters(call),
        )
    rows = [views.listed(call, move) for move in found]
    if not paged:
        return {"migrations": rows}
    return paging.answer(call, "migrations", rows, found[-1].uuid if found else None)


def show_move(call: Call, migration_id: str) -> JSON:
    """Give all that is known of one move, by its uuid or number; a route of our own."""
    with call.parts.database.read() as tx:
        move = find.any_move(tx, migration_id)
        steps = journal.steps(tx, move.uuid)
        place = moves.position(tx, move.uuid) if move.status in WAITING else None
    return {"migration": views.whole(move, steps, place, call.parts.clock.now())}


def _force(call: Call, move: objects.Migration, _wanted: object) -> None:
    """Make a running move end, by post-copy or a pause; 400 for any other status."""
    if move.status != states.Move.RUNNING:
        raise errors.Invalid(
            f"migration {move.id} of server {move.instance_uuid} cannot be forced to complete "
            f"while it is {move.status}; it can be while {states.Move.RUNNING}"
        )
    call.parts.conductor.force_complete(call.context, move.instance_uuid, move.uuid)


def _change(call: Call, move: objects.Migration, wanted: dict[str, Any]) -> JSON:
    """Change the policy of a move that has not ended, and give all of it."""
    after = call.parts.conductor.change_move(
        call.context, move.instance_uuid, move.uuid, policies.strings(wanted)
    )
    return {"policy": after.policy and views.record(after.policy)}


def _resolve(call: Call, move: objects.Migration, _wanted: object) -> JSON:
    """Settle a move that ended in error, or lost its source, by what its hosts have."""
    found = call.parts.conductor.resolve_move(call.context, move.instance_uuid, move.uuid)
    return {"resolution": views.record(found)}


def _of_server(call: Call, server_id: str, key: str, _what: str) -> objects.Migration:
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
        return find.move(tx, server_id, key)


def _of_moving_server(call: Call, server_id: str, key: str, what: str) -> objects.Migration:
    with call.parts.database.read() as tx:
        server = find.server(call, tx, server_id)
        if server.task_state != states.Task.MIGRATING:
            kind, state = (
                ("task_state", server.task_state)
                if server.task_state
                else (
                    "vm_state",
                    server.vm_state,
                )
            )
            raise errors.WrongState(
                f"Cannot '{what}' instance {server_id} while it is in {kind} {state}"
            )
        return find.move(tx, server_id, key)


def _filters(call: Call) -> dict[str, str]:
    known = FILTERS | (OWNERS if call.version >= OWNED else {})
    return {known[name]: wanted for name, wanted in call.request.args.items() if name in known}


def _there(move: objects.Migration) -> str:
    """Say why nobody can take it back any more, if so."""
    if move.status not in HANDED_OVER:
        return ""
    return f": its guest runs at {move.destination}, and nothing at {move.source} can go on"


def _words(statuses: frozenset[states.Move]) -> str:
    return ", ".join(status for status in states.Move if status in statuses)


class _Action(NamedTuple):
    act: Callable[[Call, objects.Migration, Any], JSON | None]
    schema: schemas.Schemas
    find: Callable[[Call, str, str, str], objects.Migration] = _of_moving_server


ACTIONS: dict[str, _Action] = {
    "force_complete": _Action(_force, bodies.FORCE_COMPLETE),
    bodies.POLICY: _Action(_change, bodies.CHANGE_MOVE),
    bodies.RESOLVE: _Action(_resolve, bodies.RESOLVE_MOVE, _of_server),
}

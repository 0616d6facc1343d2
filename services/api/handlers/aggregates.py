"""/os-aggregates: hosts that belong together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common import ids
from common import objects
from common.db import aggregates
from services.api import schemas
from services.api.handlers import find
from services.api.schemas import grouping as bodies
from services.api.views import grouping as views

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON

ZONE = "availability_zone"


def list_aggregates(call: Call) -> JSON:
    """Give every aggregate with its hosts and metadata."""
    with call.parts.database.read() as tx:
        found = aggregates.all(tx)
    return {"aggregates": [views.aggregate(call, one) for one in found]}


def show_aggregate(call: Call, aggregate_id: str) -> JSON:
    """Give one aggregate by its number; clients look names up in the list."""
    with call.parts.database.read() as tx:
        return _shown(call, aggregates.get(tx, _number(aggregate_id)))


def create_aggregate(call: Call) -> JSON:
    """Write an aggregate without hosts; a zone makes it one that servers can ask for."""
    wanted = call.body["aggregate"]
    made = call.parts.conductor.create_aggregate(
        call.context,
        objects.Aggregate(uuid=ids.new(), name=wanted["name"], availability_zone=wanted.get(ZONE)),
    )
    return {"aggregate": views.made(call, made)}


def update_aggregate(call: Call, aggregate_id: str) -> JSON:
    """Change name or zone; 400 when a host would be in two zones, or a server outside of its."""
    return _changed(call, _number(aggregate_id), dict(call.body["aggregate"]))


def delete_aggregate(call: Call, aggregate_id: str) -> None:
    """Remove an aggregate that has no host."""
    call.parts.conductor.delete_aggregate(call.context, _number(aggregate_id))


def act_on_aggregate(call: Call, aggregate_id: str) -> JSON:
    """Do the one action that the body names: `add_host`, `remove_host` or `set_metadata`."""
    name = schemas.only_key(call.body)
    action = ACTIONS.get(name)
    if action is None:
        raise errors.Invalid(
            f"there is no such action of an aggregate: {name}; there are {', '.join(ACTIONS)}"
        )
    schemas.check(call.body, action.schema, call.version)
    return action.act(call, _number(aggregate_id), call.body[name])


def _add_host(call: Call, number: int, wanted: dict[str, Any]) -> JSON:
    conductor = call.parts.conductor
    return _shown(call, conductor.add_aggregate_host(call.context, number, wanted["host"]))


def _remove_host(call: Call, number: int, wanted: dict[str, Any]) -> JSON:
    conductor = call.parts.conductor
    return _shown(call, conductor.remove_aggregate_host(call.context, number, wanted["host"]))


def _set_metadata(call: Call, number: int, wanted: dict[str, Any]) -> JSON:
    """Set and take out items; the zone is one of them for clients, and changes alone."""
    metadata = dict(wanted["metadata"])
    zone = {ZONE: metadata.pop(ZONE)} if ZONE in metadata else {}
    shown = _changed(call, number, zone) if zone else {}
    if not metadata:
        return shown
    conductor = call.parts.conductor
    return _shown(call, conductor.describe_aggregate(call.context, number, metadata))


def _changed(call: Call, number: int, changes: dict[str, str | None]) -> JSON:
    try:
        changed = call.parts.conductor.update_aggregate(call.context, number, changes)
    except errors.ZoneConflict as conflict:
        raise errors.Invalid(conflict.message) from conflict
    return _shown(call, changed)


def _shown(call: Call, found: objects.Aggregate) -> JSON:
    return {"aggregate": views.aggregate(call, found)}


def _number(text: str) -> int:
    number = find.number(text)
    if number is None:
        raise errors.AggregateNotFound(aggregates.UNKNOWN.format(text))
    return number


class _Action(NamedTuple):
    act: Callable[[Call, int, dict[str, Any]], JSON]
    schema: schemas.Schemas


ACTIONS: dict[str, _Action] = {
    "add_host": _Action(_add_host, bodies.ADD_HOST),
    "remove_host": _Action(_remove_host, bodies.REMOVE_HOST),
    "set_metadata": _Action(_set_metadata, bodies.SET_METADATA),
}

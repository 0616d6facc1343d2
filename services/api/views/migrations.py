"""Moves as clients see them: two forms of Nova, and the whole of ours."""

from __future__ import annotations

import datetime
from typing import Any
from typing import TYPE_CHECKING

from common import states
from common.objects import base
from services.api.views import fields
from services.api.views import phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from services.api.calls import Call

_TIMES = (
    fields.Field("created_at", lambda move: fields.micros(move.created_at)),
    fields.Field("updated_at", lambda move: fields.micros(move.updated_at)),
)

_PLACES = (
    fields.Field("source_node", fields.attribute("source")),
    fields.Field("source_compute", fields.attribute("source")),
    fields.Field("dest_node", fields.attribute("destination")),
    fields.Field("dest_compute", fields.attribute("destination")),
    fields.Field("dest_host", fields.attribute("destination")),
)

_LATER = (
    fields.Field("uuid", fields.attribute("uuid"), since=(2, 59)),
    fields.Field("user_id", fields.attribute("user_id"), since=(2, 80)),
    fields.Field("project_id", fields.attribute("project_id"), since=(2, 80)),
)

# GET /os-migrations: moves of every kind and status.
LISTED = (
    fields.Field("id", fields.attribute("id")),
    fields.Field("status", fields.attribute("status")),
    fields.Field("instance_uuid", fields.attribute("instance_uuid")),
    fields.Field("new_instance_type_id", fields.constant(None)),
    fields.Field("old_instance_type_id", fields.constant(None)),
    fields.Field("migration_type", fields.attribute("type"), since=(2, 23)),
    *_PLACES,
    *_TIMES,
    *_LATER,
)


def _part(name: str) -> Any:  # noqa: ANN401 - a function of a Migration
    return lambda move: getattr(move.progress, name, None)


# GET /servers/{id}/migrations: live migrations that are going on.
GOING_ON = (
    fields.Field("id", fields.attribute("id")),
    fields.Field("status", fields.attribute("status")),
    fields.Field("server_uuid", fields.attribute("instance_uuid")),
    *_PLACES,
    *(
        fields.Field(f"{kind}_{part}_bytes", _part(f"{kind}_{part}"))
        for kind in ("memory", "disk")
        for part in ("total", "processed", "remaining")
    ),
    *_TIMES,
    *_LATER,
)


def listed(call: Call, move: objects.Migration) -> dict[str, Any]:
    """Show a move among all moves."""
    shown = fields.render(LISTED, move, call.version)
    if call.since(2, 23) and move.type == states.Kind.LIVE and move.status not in states.TERMINAL:
        path = f"/servers/{move.instance_uuid}/migrations/{move.id}"
        shown["links"] = fields.both(call.root, path)
    return shown


def going_on(call: Call, move: objects.Migration) -> dict[str, Any]:
    """Show a live migration in progress of a server."""
    return fields.render(GOING_ON, move, call.version)


def whole(
    move: objects.Migration,
    steps: Sequence[objects.MigrationStep],
    position: int | None,
    now: datetime.datetime,
) -> dict[str, Any]:
    """Show all that is known of a move: progress, failure, policy, journal and what it says.

    The names of Nova stand beside ours, so that a client needs one set only.
    `position` is the place of a queued move in the line, from 1.
    """
    shown = record(move)
    del shown["data"]
    shown |= {field.name: field.read(move) for field in LISTED}
    shown["queue_position"] = position
    shown["durations_ms"] = phases.durations(move, steps, now)
    shown["decisions"] = phases.decisions(steps)
    shown["steps"] = [record(step) for step in steps]
    return shown


def record(value: base.Value) -> dict[str, Any]:
    """Make JSON of all fields of a versioned value."""
    return {name: _plain(getattr(value, name)) for name in value.fields}


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, datetime.datetime):
        return fields.micros(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, base.Value):
        return record(value)
    return value

"""Aggregates and server groups as clients see them."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from services.api.views import fields

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call

F = fields.Field


def aggregate(call: Call, found: objects.Aggregate) -> dict[str, Any]:
    """Show an aggregate, whole."""
    return fields.render(AGGREGATE, found, call.version)


def made(call: Call, found: objects.Aggregate) -> dict[str, Any]:
    """Show a new aggregate, as Nova does: what it cannot have yet is left out."""
    return fields.render(MADE, found, call.version)


def group(call: Call, found: objects.ServerGroup) -> dict[str, Any]:
    """Show a server group with its members."""
    return fields.render(GROUP, found, call.version)


def _metadata(found: objects.Aggregate) -> dict[str, str]:
    """Show the zone among the metadata, where clients look for it."""
    zone = found.availability_zone
    return dict(found.metadata) | ({"availability_zone": zone} if zone else {})


MADE = (
    F("id", fields.attribute("id")),
    F("uuid", fields.attribute("uuid"), since=(2, 41)),
    F("name", fields.attribute("name")),
    F("availability_zone", fields.attribute("availability_zone")),
    F("created_at", lambda found: fields.micros(found.created_at)),
    F("updated_at", lambda found: fields.micros(found.updated_at)),
    F("deleted", fields.constant(value=False)),
    F("deleted_at", fields.constant(None)),
)

AGGREGATE = (
    *MADE,
    F("hosts", lambda found: list(found.hosts)),
    F("metadata", _metadata),
)

GROUP = (
    F("id", fields.attribute("uuid")),
    F("name", fields.attribute("name")),
    F("members", lambda found: list(found.members)),
    F("policies", lambda found: [found.policy], until=(2, 63)),
    F("metadata", fields.constant({}), until=(2, 63)),
    F("policy", fields.attribute("policy"), since=(2, 64)),
    F("rules", lambda found: dict(found.rules), since=(2, 64)),
    F("project_id", fields.attribute("project_id"), since=(2, 13)),
    F("user_id", fields.attribute("user_id"), since=(2, 13)),
)

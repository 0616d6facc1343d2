"""What was asked of a server, as clients see it."""

from __future__ import annotations

import hashlib
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from services.api import versions
from services.api.views import fields

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call

# Before, only administrators see events.
EVENTS_FOR_ALL: versions.Version = (2, 51)

# Our word for an operation: Nova's word for the action.
WORDS = {"reboot_soft": "reboot", "reboot_hard": "reboot"}

F = fields.Field


class Seen(NamedTuple):
    """An event, and whose server it was."""

    event: objects.InstanceEvent
    project: str


ACTION = (
    F("action", lambda action: WORDS.get(action.action, action.action)),
    F("instance_uuid", fields.attribute("instance_uuid")),
    F("request_id", fields.attribute("request_id")),
    F("user_id", fields.attribute("user_id")),
    F("project_id", fields.attribute("project_id")),
    F("start_time", lambda action: fields.micros(action.started_at)),
    F("message", fields.attribute("message")),
    F("updated_at", lambda action: fields.micros(action.updated_at), since=(2, 58)),
)


def _host_id(seen: Seen) -> str:
    host = seen.event.host
    return hashlib.sha224(f"{seen.project}{host}".encode()).hexdigest() if host else ""


EVENT = (
    F("event", lambda seen: seen.event.event),
    F("start_time", lambda seen: fields.micros(seen.event.started_at)),
    F("finish_time", lambda seen: fields.micros(seen.event.finished_at)),
    F("result", lambda seen: seen.event.result),
    F("traceback", fields.constant(None), admin=True),
    F("host", lambda seen: seen.event.host, since=(2, 62), admin=True),
    F("hostId", _host_id, since=(2, 62)),
    F("details", lambda seen: seen.event.details, since=(2, 84)),
)


def brief(call: Call, action: objects.InstanceAction) -> dict[str, Any]:
    """Show a request without its events."""
    return fields.render(ACTION, action, call.version)


def detail(call: Call, action: objects.InstanceAction) -> dict[str, Any]:
    """Show a request with its events, oldest first."""
    shown = brief(call, action)
    if call.admin or call.version >= EVENTS_FOR_ALL:
        shown["events"] = [
            fields.render(EVENT, Seen(event, action.project_id), call.version, admin=call.admin)
            for event in action.events
        ]
    return shown

"""Bodies about aggregates, server groups, and hints for the scheduler."""

from __future__ import annotations

from common import states
from services.api.schemas import parts
from services.api.schemas.check import Schema
from services.api.schemas.check import Schemas

# What a server can ask for: ZONE:HOST has a colon.
ZONE: Schema = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[\w.-]+$",
    "description": "be a zone's name of letters, digits, dots, underscores and hyphens",
}
_AGGREGATE = {"name": parts.NAME, "availability_zone": ZONE}

CREATE_AGGREGATE: Schemas = (
    ((2, 1), parts.inside("aggregate", parts.thing(["name"], **_AGGREGATE))),
)
UPDATE_AGGREGATE: Schemas = (
    ((2, 1), parts.inside("aggregate", {**parts.thing(**_AGGREGATE), "minProperties": 1})),
)

_HOST = parts.thing(["host"], host=parts.HOST)
_METADATA: Schema = {
    "type": "object",
    "minProperties": 1,
    "properties": {"availability_zone": ZONE},
    "propertyNames": {"minLength": 1, "maxLength": 255},
    "additionalProperties": {"type": ["string", "null"], "maxLength": 255},
}

ADD_HOST: Schemas = (((2, 1), parts.inside("add_host", _HOST)),)
REMOVE_HOST: Schemas = (((2, 1), parts.inside("remove_host", _HOST)),)
SET_METADATA: Schemas = (
    ((2, 1), parts.inside("set_metadata", parts.thing(["metadata"], metadata=_METADATA))),
)

_HARD: Schema = {"enum": [states.Affinity.TOGETHER, states.Affinity.APART]}
_ANY: Schema = {"enum": list(states.Affinity)}
_RULES = parts.thing(max_server_per_host=parts.number(1))


def _policies(policy: Schema) -> Schema:
    policies = {"type": "array", "items": policy, "minItems": 1, "maxItems": 1}
    return parts.inside(
        "server_group", parts.thing(["name", "policies"], name=parts.NAME, policies=policies)
    )


CREATE_GROUP: Schemas = (
    (
        (2, 64),
        parts.inside(
            "server_group",
            parts.thing(["name", "policy"], name=parts.NAME, policy=_ANY, rules=_RULES),
        ),
    ),
    ((2, 15), _policies(_ANY)),
    ((2, 1), _policies(_HARD)),
)

_UUID: Schema = {
    "type": "string",
    "pattern": r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$",
    "description": "be a uuid",
}
_UUIDS: Schema = {
    "anyOf": [_UUID, {"type": "array", "items": _UUID, "minItems": 1, "maxItems": 128}],
    "description": "be a server's uuid, or a list of them",
}

# Others are kept for filters of one's own.
HINTS: Schema = {
    "type": "object",
    "properties": {"group": _UUID, "same_host": _UUIDS, "different_host": _UUIDS},
    "propertyNames": {"minLength": 1, "maxLength": 255},
    "additionalProperties": {
        "type": ["string", "array"],
        "maxLength": 255,
        "maxItems": 128,
        "items": {"type": "string", "maxLength": 255},
    },
}

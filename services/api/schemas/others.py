"""Bodies about flavors, services and networks."""

from __future__ import annotations

from common.db import settings
from services.api.schemas import parts
from services.api.schemas.check import Schema
from services.api.schemas.check import Schemas

_FLAVOR: dict[str, Schema] = {
    "name": parts.NAME,
    "id": {
        "type": ["string", "integer", "null"],
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[\w.\- ]*\S$",
    },
    "ram": parts.number(1),
    "vcpus": parts.number(1),
    "disk": parts.number(0),
    "OS-FLV-EXT-DATA:ephemeral": parts.number(0),
    "swap": parts.number(0),
    "os-flavor-access:is_public": parts.BOOLEAN,
    "rxtx_factor": {"type": ["number", "string"]},
}
_SIZES = ["name", "ram", "vcpus", "disk"]

CREATE_FLAVOR: Schemas = (
    ((2, 55), parts.inside("flavor", parts.thing(_SIZES, **_FLAVOR, description=parts.TEXT))),
    ((2, 1), parts.inside("flavor", parts.thing(_SIZES, **_FLAVOR))),
)

_SPECS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": r"^[a-zA-Z0-9\-_:. ]{1,255}$"},
    "additionalProperties": {"type": ["string", "number"], "maxLength": 255},
}

EXTRA_SPECS: Schemas = (((2, 1), parts.inside("extra_specs", _SPECS)),)

_REASON: Schema = {"type": "string", "minLength": 1, "maxLength": 255}

UPDATE_SERVICE: Schemas = (
    (
        (2, 53),
        parts.thing(
            status={"enum": ["enabled", "disabled"]},
            disabled_reason=_REASON,
            forced_down=parts.BOOLEAN,
        ),
    ),
    (
        (2, 1),
        parts.thing(
            ["host", "binary"],
            host=parts.HOST,
            binary={"type": "string", "minLength": 1},
            disabled_reason=_REASON,
            forced_down=parts.BOOLEAN,
        ),
    ),
)

_LIMIT: Schema = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 100}],
    "description": "be a whole number from 1 to 100",
}

LIMITS: Schemas = (
    (
        (2, 1),
        parts.thing(
            ["limits"],
            limits={
                **parts.thing(**dict.fromkeys(settings.LIMITS, _LIMIT)),
                "minProperties": 1,
            },
        ),
    ),
)

_NETWORK: Schema = {
    "type": "object",
    "properties": {
        "name": parts.NAME,
        "provider:physical_network": {
            "type": "string",
            "pattern": r"^[\w.-]{1,15}$",
            "description": "be the name of a bridge, at most 15 characters",
        },
        "cidr": {"type": ["string", "null"]},
        "allocation_pools": {
            "type": "array",
            "maxItems": 1,
            "items": parts.thing(
                ["start", "end"], start={"type": "string"}, end={"type": "string"}
            ),
        },
    },
    "required": ["name", "provider:physical_network"],
}

CREATE_NETWORK: Schemas = (((2, 1), parts.inside("network", _NETWORK)),)

"""Pieces that several schemas share."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^\S(.*\S)?$",
    "description": "begin and end with a letter, digit or sign, and be printable",
}
TEXT: Schema = {
    "type": ["string", "null"],
    "maxLength": 255,
    "pattern": r"^[^\x00-\x08\x0e-\x1f]*$",
}
HOST: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\w.:-]+$"}
BOOLEAN: Schema = {
    "enum": [True, False, "True", "true", "TRUE", "False", "false", "FALSE", "1", "0", 1, 0],
    "description": "be true or false",
}
METADATA: Schema = {
    "type": "object",
    "maxProperties": 128,
    "propertyNames": {"minLength": 1, "maxLength": 255},
    "additionalProperties": {"type": "string", "maxLength": 255},
}
# Fields of a migration policy, and their values as people write them; the
# conductor knows which there are.
POLICY: Schema = {
    "type": "object",
    "maxProperties": 32,
    "additionalProperties": {
        "type": ["string", "integer", "boolean", "array"],
        "maxLength": 255,
        "maxItems": 64,
        "items": {"type": ["string", "integer"]},
    },
}
DISK_CONFIG: Schema = {"enum": ["AUTO", "MANUAL"]}


def number(least: int) -> Schema:
    """Want a whole number, which clients also send as text."""
    return {
        "anyOf": [
            {"type": "integer", "minimum": least, "maximum": 2**31 - 1},
            {"type": "string", "pattern": r"^[0-9]{1,9}$"},
        ],
        "description": f"be a whole number of {least} or more",
    }


def only(*values: object) -> Schema:
    """Take a field that is not supported if it asks for nothing."""
    return {
        "enum": list(values),
        "description": "be left out",
    }


def thing(required: list[str] | None = None, /, **properties: Schema) -> Schema:
    """Want an object of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required or [],
        "additionalProperties": False,
    }


def inside(name: str, schema: Schema) -> Schema:
    """Want an object of one property, as OpenStack's bodies are."""
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def asked(value: str | None) -> bool:
    """Tell whether a parameter of the query is there and does not say no, as Nova reads it."""
    return value is not None and value.lower() in {"1", "true", "t", "yes", "on", "y", ""}


def truth(value: object) -> bool:
    """Read a BOOLEAN."""
    return str(value).lower() in {"true", "1"}

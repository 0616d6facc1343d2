"""Checking a body: every refusal names the field and says what it must be."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import cast
from typing import NoReturn
from typing import Protocol
from typing import TYPE_CHECKING

import jsonschema
from jsonschema import exceptions

from common import errors

if TYPE_CHECKING:
    from services.api import versions

Schema = dict[str, Any]

# The first entry whose version is not above the request's is taken: newest first.
Schemas = Sequence[tuple["versions.Version", Schema]]

_KINDS = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
}
SHOWN = 80  # characters of a wrong value that are repeated


class Wrong(Protocol):
    """What is used of a ValidationError, whose own types allow for its being half made."""

    instance: Any
    schema: Mapping[str, Any]
    validator: str
    validator_value: Any
    absolute_path: Iterable[str | int]
    message: str


def load(data: bytes) -> Any:  # noqa: ANN401 - JSON
    """Read JSON; NaN and its like are none, and half a character is no text."""
    try:
        found = json.loads(data, parse_constant=_no_number)
        # A lone surrogate can be written in JSON, but neither sent nor kept.
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError as deep:
        raise errors.Invalid("the body is nested too deeply") from deep
    return found


def check(body: object, schemas: Schemas | None, version: versions.Version) -> None:
    """Raise Invalid, naming the field, unless the body is as this microversion wants it."""
    if schemas is None:
        return
    schema = next((schema for since, schema in schemas if since <= version), None)
    if schema is None:
        return
    found = list(jsonschema.Draft202012Validator(schema).iter_errors(body))
    if found:
        worst = max(found, key=exceptions.relevance)
        raise errors.Invalid(sentence(cast("Wrong", worst)))


def only_key(body: object) -> str:
    """Give the one key of a body that names an action, or raise Invalid."""
    if not isinstance(body, dict) or len(body) != 1:
        raise errors.Invalid("the body must be an object of one key, the name of the action")
    return str(next(iter(body)))


def sentence(error: Wrong) -> str:
    """Say which field is wrong and what it must be."""
    say = SENTENCES.get(error.validator)
    where = _path(error)
    return say(error, where) if say else f"{where}: {error.message}"


def _missing(error: Wrong, where: str) -> str:
    names = [name for name in error.validator_value if name not in error.instance]
    return f"{_join(where, names[0])} is missing"


def _unknown(error: Wrong, where: str) -> str:
    known = error.schema.get("properties", {})
    names = [name for name in error.instance if name not in known]
    return f"{_join(where, str(names[0]))} is not known here"


def _kind(error: Wrong, where: str) -> str:
    wanted = error.validator_value
    kinds = [wanted] if isinstance(wanted, str) else wanted
    allowed = " or ".join(_KINDS[kind] for kind in kinds)
    return f"{where} must be {allowed}, not {_shown(error.instance)}"


def _choice(error: Wrong, where: str) -> str:
    if "description" in error.schema:
        return _any(error, where)
    allowed = ", ".join(json.dumps(value) for value in error.validator_value)
    return f"{where} must be one of {allowed}, not {_shown(error.instance)}"


def _form(error: Wrong, where: str) -> str:
    about = error.schema.get("description", f"match {error.validator_value}")
    return f"{where} must {about}, not {_shown(error.instance)}"


def _any(error: Wrong, where: str) -> str:
    about = error.schema.get("description", "be one of the forms the API knows")
    return f"{where} must {about}, not {_shown(error.instance)}"


SENTENCES: dict[str, Callable[[Wrong, str], str]] = {
    "required": _missing,
    "additionalProperties": _unknown,
    "type": _kind,
    "enum": _choice,
    "pattern": _form,
    "anyOf": _any,
    "oneOf": _any,
}


def _path(error: Wrong) -> str:
    path = ""
    for part in error.absolute_path:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "the body"


def _join(where: str, name: str) -> str:
    return name if where == "the body" else f"{where}.{name}"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")

"""How values, contexts and answers look on the wire.

An answer is an envelope: {"result": value} or {"error": {code, message,
facts}}. Errors travel as data, so that no class is rebuilt by name and no
traceback leaves the machine it happened on.
"""

from __future__ import annotations

from typing import Any

from oslo_messaging import serializer

from common import context as contexts
from common import errors
from common.objects import base


class Serializer(serializer.Serializer):  # type: ignore[misc]  # the library has no types
    """Objects to plain JSON values and back, at any depth of lists and dicts.

    With `pins` {object name: version} those objects are sent in an older
    version, for receivers that are not upgraded yet.
    """

    def __init__(self, pins: dict[str, str] | None = None) -> None:
        """Send every object at its own version, but for those pinned."""
        self._pins = pins or {}

    def serialize_entity(self, _context: object, entity: Any) -> Any:  # noqa: ANN401 - any value
        """Make plain values of whatever holds objects."""
        if isinstance(entity, base.Value):
            return self._pinned(entity.obj_to_primitive())
        return _each(entity, lambda inner: self.serialize_entity(None, inner))

    def _pinned(self, primitive: Any) -> Any:  # noqa: ANN401 - any value
        """Bring what is pinned one version back, the values inside of others too."""
        made = _each(primitive, self._pinned)
        if not isinstance(made, dict) or made.get("whimbrel.name") not in self._pins:
            return made
        return base.downgrade(made, self._pins[made["whimbrel.name"]])

    def deserialize_entity(self, _context: object, entity: Any) -> Any:  # noqa: ANN401 - any value
        """Make the objects again."""
        if isinstance(entity, dict) and "whimbrel.name" in entity:
            found = base.Value.obj_from_primitive(entity)
            found.obj_reset_changes(recursive=True)
            return found
        return _each(entity, lambda inner: self.deserialize_entity(None, inner))

    def serialize_context(self, context: contexts.Context) -> dict[str, Any]:
        """Send who asks, and the request id."""
        return dict(context.to_dict())

    def deserialize_context(self, context: dict[str, Any]) -> dict[str, Any]:
        """Hand the context over as it came; the endpoint rebuilds it in its own thread."""
        return context


def answer(result: object) -> dict[str, Any]:
    """Put a result into an envelope."""
    return {"result": result}


def refusal(error: errors.Error) -> dict[str, Any]:
    """Put an error on purpose into an envelope."""
    return {"error": {"code": error.code, "message": error.message, "facts": error.facts}}


def open_answer(envelope: dict[str, Any]) -> Any:  # noqa: ANN401 - any method's result
    """Give the result, or raise the error that the other side raised."""
    error = envelope.get("error")
    if error is None:
        return envelope["result"]
    raise errors.rebuild(error["code"], error["message"], error["facts"])


def _each(entity: Any, convert: Any) -> Any:  # noqa: ANN401 - any value
    if isinstance(entity, dict):
        return {key: convert(value) for key, value in entity.items()}
    if isinstance(entity, list | tuple | set):
        return [convert(value) for value in entity]
    return entity

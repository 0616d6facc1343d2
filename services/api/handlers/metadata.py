"""/servers/{id}/metadata: words that users keep with a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from services.api.handlers import find

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON


def list_metadata(call: Call, server_id: str) -> JSON:
    """Give all metadata."""
    return {"metadata": _read(call, server_id)}


def show_metadata(call: Call, server_id: str, key: str) -> JSON:
    """Give one item."""
    return {"meta": {key: _item(_read(call, server_id), server_id, key)}}


def replace_metadata(call: Call, server_id: str) -> JSON:
    """Make this the whole metadata."""
    _read(call, server_id)
    return {"metadata": _write(call, server_id, call.body["metadata"])}


def update_metadata(call: Call, server_id: str) -> JSON:
    """Add and change items."""
    changed = {**_read(call, server_id), **call.body["metadata"]}
    return {"metadata": _write(call, server_id, changed)}


def update_item(call: Call, server_id: str, key: str) -> JSON:
    """Add or change one item."""
    meta = call.body["meta"]
    if key not in meta:
        raise errors.Invalid(f"meta.{key} is missing: the body must have the key of the URL")
    _write(call, server_id, {**_read(call, server_id), **meta})
    return {"meta": meta}


def delete_item(call: Call, server_id: str, key: str) -> None:
    """Remove one item."""
    rest = _read(call, server_id)
    _item(rest, server_id, key)
    del rest[key]
    _write(call, server_id, rest)


def _read(call: Call, server_id: str) -> dict[str, str]:
    with call.parts.database.read() as tx:
        return dict(find.server(call, tx, server_id).metadata)


def _write(call: Call, server_id: str, metadata: dict[str, str]) -> dict[str, str]:
    return call.parts.conductor.replace_metadata(call.context, server_id, metadata)


def _item(metadata: dict[str, str], server_id: str, key: str) -> str:
    if key not in metadata:
        raise errors.NotFound(f"server {server_id} has no metadata item {key}")
    return metadata[key]

"""Answers as bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode(
    body: Mapping[str, object] | None, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Make a response of JSON, or an empty one of None."""
    if body is None:
        response = Response(b"", status)
        response.headers.remove("Content-Type")
    else:
        response = Response(json.dumps(body), status, mimetype="application/json")
    response.headers.update(headers or {})
    return response

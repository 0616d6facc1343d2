"""What goes wrong, as HTTP: one table of statuses, one of names, one shape of body."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from werkzeug import exceptions

from common import errors
from common import reasons
from services.api import replies

if TYPE_CHECKING:
    from werkzeug import Response

    from services.api.calls import Call

LOG = logging.getLogger(__name__)

# The first class that an error is one of decides.
STATUS: dict[type[errors.Error], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Unavailable: 503,
}

NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
OTHERS = "computeFault"

# Headers that tell a client what to do next.
HEADERS: dict[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Basic realm="whimbrel"'},
    503: {"Retry-After": "5"},
}

# The network dialect has its own shape of error.
NEUTRON = "/network/"


def status(error: errors.Error) -> int:
    """Give the HTTP status of an error on purpose; one that has no row is ours: 500."""
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)


def refuse(call: Call, error: errors.Error) -> Response:
    """Answer an error on purpose: its sentence, its stable code, and why each host refused."""
    code = status(error)
    if code >= 500:  # noqa: PLR2004 - the server's own faults
        LOG.warning("%s %s: %s", call.request.method, call.request.path, error)
    more: dict[str, object] = {"reason": error.code}
    found = reasons.read(error.facts)
    if found:
        more["reasons"] = found
    return answer(call, code, _sentence(error.message, found), more)


def reject(call: Call, error: exceptions.HTTPException) -> Response:
    """Answer what concerns HTTP alone: no such route, method, version or media type."""
    code = error.code or 500
    response = answer(call, code, ABOUT.get(code, error.description or error.name), {})
    if isinstance(error, exceptions.MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def surprise(call: Call, error: Exception) -> Response:
    """Answer an error that nobody expected: its traceback is in the log only."""
    LOG.error("%s %s failed unexpectedly", call.request.method, call.request.path, exc_info=error)
    return answer(
        call,
        500,
        "the request failed unexpectedly; the log of whimbrel-api has the reason under "
        f"{call.context.request_id}",
        {},
    )


def answer(call: Call, code: int, message: str, more: Mapping[str, object]) -> Response:
    """Make the answer that clients of this part of the API expect of an error."""
    if call.request.path.startswith(NEUTRON):
        kind = str(more.get("reason", NAMES.get(code, OTHERS)))
        body: dict[str, object] = {"NeutronError": {"type": kind, "message": message, "detail": ""}}
    else:
        body = {NAMES.get(code, OTHERS): {"code": code, "message": message, **more}}
    return replies.encode(body, code, HEADERS.get(code))


# Werkzeug's own words speak of browsers.
ABOUT = {
    404: "there is no such resource here; see the version document at /v2.1/",
    405: "this resource does not know this method",
}


def _sentence(message: str, found: reasons.Reasons) -> str:
    """Name every host that is not named yet, but of many hosts some."""
    missing = {host: why for host, why in found.items() if host not in message}
    if not missing or len(found) > reasons.NAMED:
        return message
    return f"{message}; {reasons.sentence(missing, '')}"

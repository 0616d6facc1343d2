"""The layers around every handler; app.MIDDLEWARE says in which order."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from typing import TYPE_CHECKING

from werkzeug import exceptions
from werkzeug import Response

from common import errors
from services.api import calls
from services.api import faults
from services.api import replies
from services.api import schemas
from services.api import versions
from services.api.route import Reply

if TYPE_CHECKING:
    from werkzeug.routing import Map

    from services.api import auth
    from services.api.route import Route

LOG = logging.getLogger(__name__)

Layer = Callable[[calls.Call], Response]

_BODIES = frozenset({"POST", "PUT", "PATCH"})
_REQUEST_ID = re.compile(r"req-[0-9a-fA-F-]{36}")


def stamp(inner: Layer) -> Layer:
    """Put request id and microversion on every answer, and write one line for each."""

    def run(call: calls.Call) -> Response:
        began = call.parts.clock.monotonic()
        request_id = str(call.context.request_id)
        given = call.request.headers.get("X-OpenStack-Request-Id", "")
        if _REQUEST_ID.fullmatch(given):
            call.context.global_request_id = given
        response = inner(call)
        response.headers["x-openstack-request-id"] = request_id
        response.headers["x-compute-request-id"] = request_id
        response.headers.update(versions.headers(call.version))
        LOG.info(
            "%s %s %s %s %.1f ms",
            call.request.remote_addr,
            call.request.method,
            call.request.full_path.rstrip("?"),
            response.status_code,
            (call.parts.clock.monotonic() - began) * 1000,
        )
        return response

    return run


def contain(inner: Layer) -> Layer:
    """Turn every error into an answer; users never see a traceback."""

    def run(call: calls.Call) -> Response:
        try:
            return inner(call)
        except errors.Error as refusal:
            return faults.refuse(call, refusal)
        except exceptions.HTTPException as rejected:
            return faults.reject(call, rejected)
        except Exception as error:  # noqa: BLE001 - the edge of the process; surprise() logs it
            return faults.surprise(call, error)

    return run


def negotiate(inner: Layer) -> Layer:
    """Find out which microversion the request speaks."""

    def run(call: calls.Call) -> Response:
        call.version = versions.negotiate(call.request.headers)
        return inner(call)

    return run


def match(table: Map) -> Callable[[Layer], Layer]:
    """Find the route; one that this microversion does not have is not found."""

    def wrap(inner: Layer) -> Layer:
        def run(call: calls.Call) -> Response:
            adapter = table.bind_to_environ(call.request.environ)
            route, arguments = adapter.match()
            call.route = route
            call.arguments = dict(arguments)
            return inner(call)

        return run

    return wrap


def authenticate(who: auth.Authenticate) -> Callable[[Layer], Layer]:
    """Find out who asks, but for version documents, which everybody may read."""

    def wrap(inner: Layer) -> Layer:
        def run(call: calls.Call) -> Response:
            if not _route(call).open:
                before = call.context
                call.context = who(call.request, str(before.request_id))
                call.context.global_request_id = before.global_request_id
            return inner(call)

        return run

    return wrap


def authorize(inner: Layer) -> Layer:
    """Ask the policy, and tell whether this microversion has the route."""

    def run(call: calls.Call) -> Response:
        route = _route(call)
        if not route.since <= call.version <= route.until:
            raise exceptions.NotFound
        if not route.open:
            call.enforce(route.rule)
        return inner(call)

    return run


def read(inner: Layer) -> Layer:
    """Read and check the body of a request that has one."""

    def run(call: calls.Call) -> Response:
        if call.request.method in _BODIES:
            call.body = _load(call)
            schemas.check(call.body, _route(call).schema, call.version)
        return inner(call)

    return run


def handle(call: calls.Call) -> Response:
    """Call the handler and make an answer of what it gives."""
    route = _route(call)
    result = route.handler(call, **call.arguments)
    if isinstance(result, Reply):
        return replies.encode(result.body, result.status or route.status, result.headers)
    return replies.encode(result, route.status)


def _route(call: calls.Call) -> Route:
    if call.route is None:
        raise exceptions.NotFound
    return call.route


def _load(call: calls.Call) -> Any:  # noqa: ANN401 - JSON
    request = call.request
    data = request.get_data()
    if not data:
        raise errors.Invalid(f"{request.method} {request.path} needs a body of JSON, and has none")
    if request.mimetype and request.mimetype != "application/json":
        raise exceptions.UnsupportedMediaType(
            f"a body of {request.mimetype} is not understood; send application/json"
        )
    try:
        return schemas.load(data)
    except ValueError as wrong:
        raise errors.Invalid(f"the body is no JSON: {wrong}") from wrong

"""The WSGI application: what surrounds a handler, wired in one place."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug import Request

from services.api import auth
from services.api import calls
from services.api import middleware
from services.api import routes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

WSGI = Callable[["WSGIEnvironment", "StartResponse"], "Iterable[bytes]"]

# Bytes; as much as Nova takes.
BODY = 114_688


class Incoming(Request):
    """A request whose body is bounded."""

    max_content_length = BODY


def make(parts: calls.Parts) -> WSGI:
    """Make the application that serves the routes with these parts."""
    layers: list[Callable[[middleware.Layer], middleware.Layer]] = [
        middleware.stamp,
        middleware.contain,
        middleware.negotiate,
        middleware.match(routes.table()),
        middleware.authenticate(auth.make(parts.conf)),
        middleware.authorize,
        middleware.read,
    ]
    serve: middleware.Layer = middleware.handle
    for layer in reversed(layers):
        serve = layer(serve)

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        call = calls.new(Incoming(environ), parts)
        return serve(call)(environ, start)

    return app

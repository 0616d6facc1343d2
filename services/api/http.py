"""The HTTP server: waitress, one acceptor and a pool of native threads."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any
from typing import TYPE_CHECKING

import waitress

from common import errors

if TYPE_CHECKING:
    from collections.abc import Generator

    from services.api import app


@contextlib.contextmanager
def listening(application: app.WSGI, host: str, port: int, threads: int) -> Generator[str]:
    """Serve while the block lasts, and give the root URL; port 0 takes a free one.

    At the end open connections are closed; a request in work is finished,
    but its answer is lost. Raises Unavailable when the port is taken.
    """
    channels: dict[int, Any] = {}
    server: Any = waitress.create_server(
        application,
        map=channels,
        sockets=[_socket(host, port)],
        threads=threads,
        ident="whimbrel",
        clear_untrusted_proxy_headers=True,
    )
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{name}:{server.effective_port}"
    finally:
        # Run by the acceptor itself; without channels its loop ends.
        server.trigger.pull_trigger(lambda: _close(channels))
        thread.join()
        server.task_dispatcher.shutdown()


def _close(channels: dict[int, Any]) -> None:
    for channel in list(channels.values()):
        channel.close()


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as taken:
        raise errors.Unavailable(
            f"cannot listen on {host} port {port}: {taken.strerror}; see listen and port in [api]"
        ) from taken

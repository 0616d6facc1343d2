"""A libvirt driver inside a lab host's namespaces, called from the test's process.

Run as a program in the host, it serves every method of the driver on a socket,
each call in a thread of its own; `Remote` is the other end.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

from common.config import load
from services.compute.virt.libvirt import driver

READY = "ready"


def serve(path: str, overrides: dict[str, object]) -> None:
    """Start the driver, say so on standard output, and answer calls until `stop` was one."""
    real = driver.Driver(load.private(overrides))
    stopped = threading.Event()
    loop = threading.Thread(target=real.run_events, args=(stopped.is_set,))
    loop.start()
    with connection.Listener(path, "AF_UNIX") as listener:
        real.start()
        print(READY, flush=True)  # noqa: T201 - the parent waits for this word
        while not stopped.is_set():
            link = listener.accept()
            threading.Thread(target=_answer, args=(real, link, stopped, path)).start()
    loop.join()


def _answer(
    real: driver.Driver, link: connection.Connection, stopped: threading.Event, path: str
) -> None:
    with link:
        name, arguments = link.recv()
        try:
            result = (True, getattr(real, name)(*arguments))
        except Exception as error:  # noqa: BLE001 - carried to the caller
            result = (False, error)
        link.send(result)
    if name == "stop":
        stopped.set()
        connection.Client(path, "AF_UNIX").close()


class Remote:
    """The driver of one host; calls look like the driver's own."""

    def __init__(self, path: str) -> None:
        """Know the socket."""
        self._path = path

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give the method of that name."""

        def call(*arguments: object) -> Any:
            with connection.Client(self._path, "AF_UNIX") as link:
                link.send((name, arguments))
                good, result = link.recv()
            if not good:
                raise result
            return result

        return call


if __name__ == "__main__":
    pairs = (
        itertools.batched(sys.argv[2:], 2)
        if hasattr(itertools, "batched")
        else zip(sys.argv[2::2], sys.argv[3::2], strict=True)
    )
    serve(sys.argv[1], dict(pairs))

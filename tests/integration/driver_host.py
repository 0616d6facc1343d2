"""A libvirt driver inside a lab host, called from the test's process.

Run as a program in the host, it serves the driver's methods on a socket, each
call in a thread of its own; `Remote` is the other end and looks like the driver.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from multiprocessing import connection
from pathlib import Path
from typing import Any

from common.config import load
from services.compute.virt.libvirt import driver
from tests.integration import labs

ROOT = Path(__file__).parents[2]
READY = "ready"


def serve(path: str, overrides: Mapping[str, object]) -> None:
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
    real: driver.Driver,
    link: connection.Connection[Any, Any],
    stopped: threading.Event,
    path: str,
) -> None:
    with link:
        if not link.poll(None):
            return
        try:
            name, arguments = link.recv()
        except EOFError:  # the knock that ends the listener
            return
        try:
            result = (True, getattr(real, name)(*arguments))
        except Exception as error:  # noqa: BLE001 - carried to the caller
            result = (False, error)
        link.send(result)
    if name == "stop":
        stopped.set()
        connection.Client(path, "AF_UNIX").close()


class Remote:
    """The driver of one host; its methods are the driver's."""

    def __init__(self, host: str, path: str, process: subprocess.Popen[str]) -> None:
        """Know the host's name, the socket and the process behind it."""
        self.host = host
        self._path = path
        self._process = process

    def crash(self) -> None:
        """End the driver's process without a word."""
        self._process.kill()
        self._process.wait(10)

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


@contextlib.contextmanager
def running(lab: labs.Lab, host: str, folder: Path, **overrides: str) -> Iterator[Remote]:
    """Have a driver on a lab host; in `overrides` "__" stands for the dot after the group."""
    path = str(folder / f"{host}.sock")
    Path(path).unlink(missing_ok=True)
    address = lab.env()[f"WHIMBREL_LAB_URI_{host.upper()}"].split("//")[1].split("/")[0]
    given = {
        "libvirt__virt_type": "qemu",
        "libvirt__migration_address": address,
        "libvirt__live_migration_scheme": "tcp",
        **overrides,
    }
    words = [f"{name.replace('__', '.')}={value}" for name, value in given.items()]
    # Entering a host's mounts loses the working directory.
    program = ["env", f"PYTHONPATH={ROOT}", sys.executable, __file__, path, f"host={host}", *words]
    process = lab.spawn("exec", host, "--", *program)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == READY
        remote = Remote(host, path, process)
        yield remote
        if process.poll() is None:
            remote.stop()
            process.wait(10)
    finally:
        process.kill()
        process.wait(10)


if __name__ == "__main__":
    serve(sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:]))

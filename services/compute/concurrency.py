"""Threads of compute: green ones for waiting, native ones for libvirt.

With eventlet's patching in force (see main) `threading` makes greenthreads;
libvirt blocks in C and would stop all of them, so its calls go through
eventlet's pool of native threads. Without the patching, as when every
service runs in one process, threads are native already.
"""

from __future__ import annotations

import threading
from typing import Any
from typing import Generic
from typing import TYPE_CHECKING
from typing import TypeVar

from eventlet import tpool

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Job(Generic[T]):
    """Something that goes on elsewhere."""

    def __init__(self, act: Callable[[], T]) -> None:
        """Start it now."""
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, args=(act,), daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, and tell whether it has come."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """Wait for the result, or raise what was raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value] # set, as there is no error

    def _run(self, act: Callable[[], T]) -> None:
        try:
            self._result = act()
        except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
            self._error = error
        finally:
            self._done.set()


class Threads:
    """How this process runs things beside each other."""

    def __init__(self, native: Callable[..., Any]) -> None:
        """`native(act, *args)` runs a call that blocks in C and waits for it."""
        self._native = native

    def native(self, act: Callable[..., T], *args: object) -> T:
        """Run a blocking call without stopping anybody else, and give its result."""
        result: T = self._native(act, *args)
        return result

    def start(self, act: Callable[..., T], *args: object) -> Job[T]:
        """Run a blocking call beside this one."""
        return Job(lambda: self.native(act, *args))

    def spawn(self, act: Callable[..., T], *args: object) -> Job[T]:
        """Run our own code beside this one."""
        return Job(lambda: act(*args))


def green(size: int) -> Threads:
    """Use eventlet, with `size` native threads for calls that block in C."""
    tpool.set_num_threads(size)
    return Threads(tpool.execute)


def plain() -> Threads:
    """Use native threads for everything."""
    return Threads(lambda act, *args: act(*args))

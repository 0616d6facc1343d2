"""Threads of compute: green ones for waiting, native ones for libvirt.

With eventlet's patching in force (see main) `threading` makes greenthreads;
libvirt blocks in C and would stop all of them, so its calls go through
eventlet's pool of native threads. What takes as long as a migration brings a
native thread of its own: the pool is for short calls, whatever goes on.
Without the patching, as when every service runs in one process, threads are
native already.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any
from typing import Generic
from typing import TYPE_CHECKING
from typing import TypeVar

from eventlet import patcher
from eventlet import tpool
from eventlet.green import select

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
        self.over = False  # as `wait` tells, but to be read in any thread
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
            self.over = True
            self._done.set()


class Bell:
    """Rung in any thread, and heard by one that waits; several rings are one."""

    def __init__(self) -> None:
        """Be silent."""
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake who waits, or who will."""
        self._rung.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a ring, and tell whether there was one."""
        heard = self._rung.wait(seconds)
        self._rung.clear()
        return heard

    def close(self) -> None:
        """Be silent for ever."""


class GreenBell(Bell):
    """A bell that native threads ring and a greenthread hears: their events do not mix."""

    def __init__(self) -> None:
        """Be silent."""
        self._ear, self._clapper = patcher.original("socket").socketpair()
        self._ear.setblocking(False)
        self._clapper.setblocking(False)

    def ring(self) -> None:
        """Wake who waits, or who will; a bell that was closed says nothing."""
        # One that is full of rings will be heard as it is.
        with contextlib.suppress(OSError):
            self._clapper.send(b"!")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a ring, and tell whether there was one."""
        heard, _, _ = select.select([self._ear], [], [], seconds)
        if heard:
            self._ear.recv(1 << 16)
        return bool(heard)

    def close(self) -> None:
        """Be silent for ever."""
        self._ear.close()
        self._clapper.close()


class Threads:
    """How this process runs things beside each other."""

    def __init__(
        self, native: Callable[..., Any], alone: Callable[..., Any], bell: Callable[[], Bell]
    ) -> None:
        """Take two ways to run a call that blocks in C and wait for it, and the bells to make.

        `native(act, *args)` may share a few threads with others, `alone(act,
        *args)` has a native thread of its own.
        """
        self._native = native
        self._alone = alone
        self.bell = bell

    def native(self, act: Callable[..., T], *args: object) -> T:
        """Run a short blocking call without stopping anybody else, and give its result."""
        result: T = self._native(act, *args)
        return result

    def alone(self, act: Callable[..., T], *args: object) -> T:
        """Run a blocking call that may take long in a native thread of its own."""
        result: T = self._alone(act, *args)
        return result

    def start(self, act: Callable[..., T], *args: object) -> Job[T]:
        """Run a blocking call beside this one, however long it takes."""
        return Job(lambda: self.alone(act, *args))

    def spawn(self, act: Callable[..., T], *args: object) -> Job[T]:
        """Run our own code beside this one."""
        return Job(lambda: act(*args))


def green(size: int) -> Threads:
    """Use eventlet, with `size` native threads for short calls that block in C."""
    tpool.set_num_threads(size)
    return Threads(tpool.execute, _alone, GreenBell)


def plain() -> Threads:
    """Use native threads for everything."""

    def here(act: Callable[..., T], *args: object) -> T:
        return act(*args)

    return Threads(here, here, Bell)


def _alone(act: Callable[..., T], *args: object) -> T:
    """Run a call in a native thread of its own, and wait for it in a green one."""
    bell = GreenBell()
    ended: list[Callable[[], T]] = []
    native = patcher.original("threading").Thread
    native(target=_run, args=(lambda: act(*args), ended, bell), daemon=True).start()
    bell.wait()
    bell.close()
    return ended[0]()


def _run(act: Callable[[], T], ended: list[Callable[[], T]], bell: Bell) -> None:
    """Run a call, and leave its result, or what raises its error."""
    try:
        result = act()
        ended.append(lambda: result)
    except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
        ended.append(_raiser(error))
    finally:
        bell.ring()


def _raiser(error: BaseException) -> Callable[[], Any]:
    def again() -> None:
        raise error

    return again

"""Bounded waits: every wait of the lab has an end, and says what it waited for."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.lab import errors

Found = TypeVar("Found")

PAUSE = 0.05


def until(
    condition: Callable[[], Found | None],
    seconds: float,
    what: str,
    called_off: threading.Event | None = None,
    pause: float = PAUSE,
) -> Found:
    """The first true value of the condition, or TooLate naming what was waited for.

    The condition is asked every `pause` seconds.
    CalledOff, at once, when that event is set.
    """
    deadline = time.monotonic() + seconds
    bell = called_off or threading.Event()
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise errors.TooLate(f"{what}: not within {seconds:.0f} s")
        if bell.wait(pause):
            raise errors.CalledOff(f"{what}: no longer waited for")

"""Asking again until something is so; every wait ends, and says what it waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from services.cli import failures

T = TypeVar("T")

PAUSE_SECONDS = 0.3
WAIT_SECONDS = 300.0


def until(look: Callable[[], T | None], what: str, seconds: float = WAIT_SECONDS) -> T:
    """Give the first thing that `look` finds, or fail after so many seconds."""
    bell = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise failures.Failure(f"{what}: not within {seconds:g} s; it may still happen")
        bell.wait(PAUSE_SECONDS)

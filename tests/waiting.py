"""Waiting for what other threads do: ask again and again, but not without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 30.0
PAUSE = 0.02


def until(ask: Callable[[], T], what: str, seconds: float = SECONDS) -> T:
    """Give the first true answer; fail with `what` and the last answer after `seconds`."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain until {what}; last: {answer!r}")
        pause.wait(PAUSE)
    return answer


def through(ask: Callable[[], object], seconds: float) -> None:
    """Keep asking for the whole time, for an assertion that must hold at every instant."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ask()
        pause.wait(PAUSE)

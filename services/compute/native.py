"""Queue and lock between native threads, whatever the process has patched.

The standard queue, threading and time modules may have been made green by the
entry point; libvirt's callbacks and all that blocks run in native threads, where
a green lock either fails or never wakes once two of them want it.
"""

from __future__ import annotations

from _queue import Empty
from _queue import SimpleQueue
from typing import Generic
from typing import TYPE_CHECKING
from typing import TypeVar

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")


class Queue(Generic[T]):
    """An unbounded queue whose put never blocks."""

    def __init__(self) -> None:
        """Begin empty."""
        self._items: SimpleQueue[T] = SimpleQueue()

    def put(self, item: T) -> None:
        """Add an item and wake one waiter."""
        self._items.put(item)

    def get(self, timeout: float) -> T | None:
        """Take the oldest item, or give None after `timeout` seconds."""
        try:
            return self._items.get(timeout=max(timeout, 0.0))
        except Empty:
            return None


class Lock:
    """Lets one native thread at a time into its `with` block."""

    def __init__(self) -> None:
        """Begin open."""
        self._token: SimpleQueue[None] = SimpleQueue()
        self._token.put(None)

    def __enter__(self) -> None:
        self._token.get()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._token.put(None)

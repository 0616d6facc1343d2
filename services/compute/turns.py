"""Whose turn it is to work on a server, and what was done already: a message may come twice.

Every change of a server's state raises its generation, so a message of an
older generation than that of the last work done here is a repeat, or late.
"""

from __future__ import annotations

import collections
import dataclasses
import threading
from typing import NamedTuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common import errors
    from common import objects
    from common.context import Context

# Servers whose last work is remembered, those that left included: a late message
# must not build them again.
REMEMBERED = 10_000


@dataclasses.dataclass
class Turn:
    """Work that goes on; asked for again, it is reported to whoever asked last."""

    context: Context
    instance: objects.Instance
    operation: str
    error: errors.Error | None = None


class Done(NamedTuple):
    """How the last work on a server ended."""

    generation: int
    error: errors.Error | None


class Turns:
    """One thing at a time for each server."""

    def __init__(self) -> None:
        """Begin with nothing going on and nothing done."""
        self._going: dict[str, Turn] = {}
        self._done: collections.OrderedDict[str, Done] = collections.OrderedDict()
        self._free = threading.Condition()

    def take(self, context: Context, instance: objects.Instance, operation: str) -> Turn | None:
        """Give the turn, once other work on the server has ended; None for a repeat."""
        with self._free:
            going = self._going.get(instance.uuid)
            if going is not None and going.operation == operation:
                self._again(going, context, instance)
                return None
            self._free.wait_for(lambda: instance.uuid not in self._going)
            done = self._done.get(instance.uuid)
            if done is not None and instance.generation <= done.generation:
                return None
            turn = Turn(context, instance, operation)
            self._going[instance.uuid] = turn
            return turn

    def end(self, turn: Turn) -> None:
        """Remember the work as done, and let the next begin: before anybody is told."""
        uuid = turn.instance.uuid
        with self._free:
            del self._going[uuid]
            self._done[uuid] = Done(turn.instance.generation, turn.error)
            self._done.move_to_end(uuid)
            while len(self._done) > REMEMBERED:
                self._done.popitem(last=False)
            self._free.notify_all()

    def done(self, instance: objects.Instance) -> Done | None:
        """Give how this very work ended, if it was the last."""
        with self._free:
            done = self._done.get(instance.uuid)
        return done if done is not None and done.generation == instance.generation else None

    def _again(self, going: Turn, context: Context, instance: objects.Instance) -> None:
        if instance.generation > going.instance.generation:
            going.context, going.instance = context, instance

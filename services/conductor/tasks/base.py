"""A task: it checks first, then changes, and every change brings its undo."""

from __future__ import annotations

import abc
import logging
from typing import NamedTuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger(__name__)


class Undo(NamedTuple):
    """One compensation; safe to run twice."""

    name: str
    run: Callable[[], None]


class Task(abc.ABC):
    """One operation of several steps; execute() leaves all of it done, or none."""

    def __init__(self) -> None:
        """Start with nothing to undo."""
        self._undos: list[Undo] = []

    @abc.abstractmethod
    def check(self) -> None:
        """Read whatever decides, change nothing, and raise what speaks against it."""

    @abc.abstractmethod
    def run(self) -> None:
        """Make the changes, each followed by its push()."""

    def push(self, name: str, undo: Callable[[], None]) -> None:
        """Remember how the change just made is undone."""
        self._undos.append(Undo(name, undo))

    def execute(self) -> None:
        """Check and run; on any error undo in reverse order, and raise it again."""
        try:
            self.check()
            self.run()
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Undo what was done, newest first; one that fails does not stop the others."""
        while self._undos:
            undo = self._undos.pop()
            try:
                undo.run()
            except Exception:
                LOG.exception("undoing %s failed; the next look at this move repeats it", undo.name)

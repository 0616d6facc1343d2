"""The live migrations that leave this host: one of each, and how to reach it."""

from __future__ import annotations

import collections
import logging
import threading
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from services.compute import move as moves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common.context import Context
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

REMEMBERED = 1000  # moves that have ended here


class Outgoing:
    """The moves that leave this host."""

    def __init__(self, deps: Deps) -> None:
        """Begin with no move."""
        self._deps = deps
        self._lock = threading.Lock()
        self._going: dict[str, moves.Move] = {}
        self._ended: collections.deque[tuple[str, int]] = collections.deque(maxlen=REMEMBERED)

    def start(
        self,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        written: Sequence[objects.MigrationStep] = (),
    ) -> None:
        """Begin a move beside everything else; one that goes on or has ended is left alone.

        One that a destination refused comes again with another, of a later generation.
        """
        move = moves.Move(self._deps, context, instance, migration, written)
        with self._lock:
            going = self._going.get(migration.uuid)
            late = going is not None and going.attempt[1] >= move.attempt[1]
            if late or move.attempt in self._ended:
                LOG.info("migration %s: goes on or has ended here already", migration.uuid)
                return
            self._going[migration.uuid] = move
        self._deps.threads.spawn(self._drive, move, migration.uuid)

    def find(self, migration: str) -> moves.Move:
        """Give a move that goes on, or raise WrongState when it is not going on here."""
        move = self._going.get(migration)
        if move is None:
            raise errors.WrongState(f"migration {migration} is not going on at this host")
        return move

    def _drive(self, move: moves.Move, migration: str) -> None:
        try:
            contexts.adopt(move.context)
            move.drive()
        except errors.StaleWrite as decided:
            LOG.warning("migration %s: left as it is: %s", migration, decided)
            self._ended.append(move.attempt)
        except Exception:
            LOG.exception("migration %s: stopped unexpectedly", migration)
        else:
            self._ended.append(move.attempt)
        finally:
            with self._lock:
                if self._going.get(migration) is move:
                    del self._going[migration]
                    self._deps.reporter.forget(migration)

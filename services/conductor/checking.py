"""Which moves are in work in this process, so that it goes on owning them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common import objects


class Checking:
    """Moves that wait here for their checks or for a host, or get them now."""

    def __init__(self) -> None:
        """Begin with none."""
        self._attempts: dict[str, int] = {}

    def begin(self, migration: objects.Migration) -> None:
        """Own the move from now on; of two attempts the later one counts."""
        known = self._attempts.get(migration.uuid, migration.generation)
        self._attempts[migration.uuid] = max(known, migration.generation)

    def end(self, migration: objects.Migration) -> None:
        """Own it no longer, unless a later attempt has begun meanwhile."""
        if self._attempts.get(migration.uuid) == migration.generation:
            del self._attempts[migration.uuid]

    def moves(self) -> list[str]:
        """Give the uuids of all that are in work."""
        return list(self._attempts)

"""A guest that waits in a broken post-copy: people are told why, until it goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import states

if TYPE_CHECKING:
    from common import objects
    from services.compute.row import Row

LOG = logging.getLogger(__name__)


class Standing:
    """Whether the guest of one move waits for its memory, and why."""

    def __init__(self, row: Row) -> None:
        """Begin with a guest that does not wait."""
        self._row = row
        self._why: str | None = None
        self._at: int | None = None  # bytes that were over when it was seen first

    @property
    def waits(self) -> bool:
        """Whether the guest waits."""
        return self._why is not None

    def stand(self, reason: str) -> None:
        """Report that the guest waits, and why; once for each reason."""
        self._at = None
        if reason == self._why:
            return
        self._why = reason
        move = self._row.now
        LOG.warning("migration %s: the guest waits: %s", move.uuid, reason)
        self._row.tell(
            states.Move.POSTCOPY,
            {states.Move.RUNNING, states.Move.POSTCOPY},
            error_code=errors.LinkLost.code,
            error_message=f"the link between {move.source} and {move.destination} broke in "
            f"post-copy ({reason}); the guest waits, and goes on as soon as the link is back",
        )

    def goes_on(self, progress: objects.MigrationProgress) -> bool:
        """Take the reason back once memory goes over again, and tell whether it just has."""
        if self._why is None:
            return False
        if self._at is None:
            self._at = progress.memory_processed
        if progress.memory_processed <= self._at:
            return False
        LOG.info("migration %s: the guest goes on", self._row.now.uuid)
        self._why = None
        self._row.tell(
            states.Move.POSTCOPY, {states.Move.POSTCOPY}, error_code="", error_message=""
        )
        return True

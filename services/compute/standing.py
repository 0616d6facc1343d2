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

MOVE = "migrate"
RECOVERY = "recover_post_copy"


class Standing:
    """Whether the guest of one move waits for its memory, and why."""

    def __init__(self, row: Row) -> None:
        """Begin with a guest that waits only if its row says so."""
        self._row = row
        waits = row.now.error_code == errors.LinkLost.code
        self._why: str | None = row.now.error_message if waits else None
        self._at: int | None = None  # bytes that were over when it was seen first

    @property
    def waits(self) -> bool:
        """Whether the guest waits."""
        return self._why is not None

    def stand(self, reason: str) -> None:
        """Report that the guest waits, and why; once for each reason."""
        self._at = None
        move = self._row.now
        self._break(move.source, reason)
        if reason == self._why:
            return
        self._why = reason
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
        self.mend()
        self._row.tell(
            states.Move.POSTCOPY, {states.Move.POSTCOPY}, error_code="", error_message=""
        )
        return True

    def mend(self) -> None:
        """End the recovery that is going on, if one is: the move is under way again."""
        journal = self._row.journal
        if journal.is_open(RECOVERY):
            journal.ended(RECOVERY)
            journal.begin(MOVE, self._row.now.source)

    def _break(self, source: str, reason: str) -> None:
        journal = self._row.journal
        if journal.is_open(MOVE):
            journal.failed(MOVE, errors.LinkLost(reason))
        journal.begin(RECOVERY, source)

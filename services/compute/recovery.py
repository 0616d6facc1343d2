"""Tries to mend a post-copy whose link broke: the guest waits for the rest of its memory."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from common import errors
from common import states

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from services.compute.concurrency import Job
    from services.compute.deps import Deps
    from services.compute.virt.driver import JobEnd

LOG = logging.getLogger(__name__)

AGAIN = (1.0, 3.0, 5.0, 10.0)  # seconds before each try over a link that is whole
LOOK = 1.0  # seconds between looks whether the link is back


class Recovery:
    """One broken move, tried again and again."""

    def __init__(
        self,
        deps: Deps,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
    ) -> None:
        """Begin with no try."""
        self._deps = deps
        self._context = context
        self._instance = instance
        self._migration = migration
        self._destination = deps.peer(str(migration.destination))
        self._tries = 0

    def wait(self) -> None:
        """Wait until the next try is due and the link is back, however long it takes."""
        data = self._migration.data
        _sleep(AGAIN[min(self._tries, len(AGAIN) - 1)])
        self._tries += 1
        while data is not None and not self._reaches(data):
            _sleep(LOOK)

    def arrived(self) -> bool:
        """Tell whether the guest runs whole at its destination: the link broke behind it.

        Its source cannot know that when the last word of the destination was lost.
        """
        try:
            seen = self._destination.observe_guest(self._context, self._instance)
        except errors.Error as silence:
            LOG.info("migration %s: not seen: %s", self._migration.uuid, silence)
            return False
        whole = seen.power_state == states.Power.RUNNING and not seen.job
        return whole and seen.run_token == self._instance.run_token

    def begin(self, policy: objects.MigrationPolicy) -> Job[JobEnd]:
        """Have the destination let its dead stream go, and go on over a new one.

        WrongState when the destination would only lose by it.
        """
        self._let_go()
        LOG.info("migration %s: try %d to go on", self._migration.uuid, self._tries)
        return self._deps.threads.start(
            self._deps.driver.recover, self._instance, self._migration.data, policy
        )

    def _reaches(self, data: objects.LibvirtLiveMigrateData) -> bool:
        # It takes seconds: not in a thread that others need.
        return self._deps.threads.alone(self._deps.driver.reaches, data)

    def _let_go(self) -> None:
        """Make the destination ready; one that cannot be asked may have noticed by itself."""
        try:
            self._destination.let_go_live_migration(self._context, self._instance, self._migration)
        except errors.WrongState:
            raise
        except errors.Error as refusal:
            LOG.info("migration %s: not let go: %s", self._migration.uuid, refusal)


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)

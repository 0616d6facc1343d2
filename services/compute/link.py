"""Watches the streams of a copy: nobody else ends one that is dead before TCP does.

Until then the hypervisor may keep the guest's job to itself, so that neither
an abort nor a look gets through. What is asked here is asked of the system.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors

if TYPE_CHECKING:
    from common import objects
    from services.compute.concurrency import Job
    from services.compute.deps import Deps
    from services.compute.virt.driver import JobEnd

LOG = logging.getLogger(__name__)

LOOK = 1.0  # seconds between looks at the streams
# Seconds without a byte after which the streams of a move that is aborted are ended: on its way
# to an abort a hypervisor may wait for them with the guest standing still.
STILL = 2.0
OBEY = 10.0  # seconds after which they are ended whatever goes over them


class Link:
    """The streams between the hosts of one move, while its guest is still at the source."""

    def __init__(
        self, deps: Deps, instance: objects.Instance, migration: objects.Migration
    ) -> None:
        """Begin with a link that is whole."""
        self._deps = deps
        self._uuid = instance.uuid
        self._migration = migration
        self._limit = float(deps.conf.compute.migration_link_timeout)
        self._mark: object = None
        self._since = deps.clock.monotonic()
        self._aborted_at: float | None = None
        self._handed_over = False
        self.lost: str | None = None  # why the streams were ended

    def guard(self, job: Job[JobEnd]) -> None:
        """Look at the streams until the job has ended."""
        self._since = self._deps.clock.monotonic()
        while not job.wait(LOOK):
            try:
                self._look()
            except errors.Error as failed:
                LOG.warning("migration %s: its link is not watched: %s", self._name, failed)

    def hurry(self) -> None:
        """Expect the job to end now: it is being aborted."""
        if self._aborted_at is None:
            self._aborted_at = self._deps.clock.monotonic()

    def relent(self) -> None:
        """Expect nothing any more: the abort came too late."""
        self._aborted_at = None

    def let_be(self) -> None:
        """Leave the streams alone from now on: the guest runs at the destination."""
        self._handed_over = True

    def explain(self, ended: JobEnd, aborted: str | None) -> errors.Error:
        """Say why the guest stayed: somebody wanted it, the link broke, or what was told."""
        self._check(ended.reason)
        if ended.cancelled or aborted:
            return errors.MoveAborted(aborted or ended.reason)
        return errors.LinkLost(self.lost) if self.lost else errors.MoveFailed(ended.reason)

    def blame(self, error: errors.Error) -> None:
        """Look whether the link is why nobody answered, or why a move had to be aborted."""
        if isinstance(error, errors.Unavailable | errors.MoveAborted):
            self._check(error.message)

    @property
    def name(self) -> str:
        """The hosts at both ends."""
        return f"{self._migration.source} and {self._migration.destination}"

    def answers(self) -> bool:
        """Tell whether the destination can be reached now."""
        data = self._migration.data
        return data is None or self._deps.threads.alone(self._deps.driver.reaches, data)

    @property
    def _name(self) -> str:
        return str(self._migration.uuid)

    def _check(self, why: str) -> None:
        if self.lost is None and not self.answers():
            self.lost = f"the link between {self.name} broke: {why}"

    def _look(self) -> None:
        now = self._deps.clock.monotonic()
        mark = self._deps.threads.native(self._deps.driver.traffic, self._uuid)
        if mark != self._mark:
            self._mark, self._since = mark, now
        if self._handed_over:
            return
        if self._disobeyed(now):
            self._end("it is aborted, and the hypervisor does not end it")
        elif now - self._since >= self._limit and not self.answers():
            seconds = self._deps.clock.monotonic() - self._since
            self.lost = (
                f"the link between {self.name} is dead: for {seconds:.0f} s nothing went over it, "
                f"and {self._migration.destination} does not answer"
            )
            self._end(self.lost)

    def _disobeyed(self, now: float) -> bool:
        if self._aborted_at is None:
            return False
        still = now - max(self._aborted_at, self._since)
        return still >= STILL or now - self._aborted_at >= OBEY

    def _end(self, why: str) -> None:
        try:
            ended = self._deps.threads.native(self._deps.driver.cut_off, self._uuid)
        except errors.WrongState as late:
            LOG.info("migration %s: its streams are left alone: %s", self._name, late)
            return
        if ended:
            LOG.warning("migration %s: %d streams ended: %s", self._name, ended, why)

"""The row of a move as its source knows it, and how the source has the conductor change it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from services.compute import journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common import states
    from common.context import Context
    from services.compute.deps import Deps

# What must be left of a lease, for all that hosts' clocks differ.
SPARE = datetime.timedelta(seconds=10)


class Row:
    """One move's row, with the journal that goes along with each change of it."""

    def __init__(
        self,
        deps: Deps,
        context: Context,
        migration: objects.Migration,
        written: Sequence[objects.MigrationStep],
    ) -> None:
        """Begin with the row and the journal as the conductor has sent them."""
        self._deps = deps
        self._context = context
        self.now = migration
        self.journal = journal.Journal(deps.clock, migration, written)

    def leased(self) -> bool:
        """Tell whether the lease of the order to begin lasts for a while yet."""
        until = self.now.lease_until
        return until is not None and until - self._deps.clock.now() > SPARE

    def agree(self, data: objects.LibvirtLiveMigrateData) -> None:
        """Keep what both hosts have agreed on; the conductor knows the rest."""
        self.now = self.now.replace(data=data)

    def tell_soon(self, status: states.Move, expected: set[states.Move]) -> None:
        """Report a change that decides nothing, with the next progress or the next report."""
        report = self.journal.report(status, expected, self._deps.conf.host)
        self._deps.reporter.soon(report)
        self.now = self.now.replace(status=status)

    def tell(self, status: states.Move, expected: set[states.Move], **facts: object) -> None:
        """Report a change until it is taken; StaleWrite when another has decided first."""
        report = self.journal.report(status, expected, self._deps.conf.host, **facts)
        told = self._deps.reporter.move(self._context, report)
        self.now = told.replace(data=self.now.data)

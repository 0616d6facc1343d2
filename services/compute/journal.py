"""The steps of a move at its source, sent along with the next report."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from common.clock import Clock

LOG = logging.getLogger(__name__)

DECISION = "decide_"


class Journal:
    """What was begun and ended since the last report.

    Attempts are numbered on from what is `written` already: a row that was
    written once is never written for something else.
    """

    def __init__(
        self,
        clock: Clock,
        migration: objects.Migration,
        written: Sequence[objects.MigrationStep] = (),
    ) -> None:
        """Begin with nothing to tell; what is written as open goes on."""
        self._clock = clock
        self._migration = migration
        self._open: dict[str, objects.MigrationStep] = {}
        self._untold: dict[tuple[str, int], objects.MigrationStep] = {}
        self._last: collections.Counter[tuple[str, str]] = collections.Counter()
        self._first: dict[str, datetime.datetime] = {}
        self._decisions = 0
        for row in written:
            self._read(row)

    def begun(self, step: str, host: str) -> None:
        """Take over a step that the conductor has written."""
        if step not in self._open:
            self._open[step] = self._row(step, host)

    def begin(self, step: str, host: str) -> None:
        """Begin a step, for the first time or once more; one that is open goes on."""
        if step not in self._open:
            self._open[step] = self._tell(self._row(step, host))

    def since(self, step: str) -> float:
        """Give the seconds since a step began first, whoever began it; 0 if nobody has."""
        first = self._first.get(step)
        return 0.0 if first is None else (self._clock.now() - first).total_seconds()

    def ended(self, step: str) -> None:
        """End a step well."""
        self._close(step, states.StepState.DONE, None)

    def failed(self, step: str, error: errors.Error) -> None:
        """End a step badly."""
        self._close(step, states.StepState.FAILED, error)

    def failed_at(self, error: errors.Error) -> objects.MigrationStep | None:
        """End every open step badly, and give the last of them."""
        step = None
        for name in list(self._open):
            step = self._open[name]
            self.failed(name, error)
        return step

    def is_open(self, step: str) -> bool:
        """Tell whether a step has begun and not ended."""
        return step in self._open

    @contextlib.contextmanager
    def step(self, step: str, host: str) -> Iterator[None]:
        """Do a step whose failure is told, and stops nothing."""
        self.begin(step, host)
        try:
            yield
        except errors.Error as error:
            LOG.warning(
                "migration %s: %s on %s failed: %s", self._migration.uuid, step, host, error
            )
            self.failed(step, error)
        else:
            self.ended(step)

    def decided(
        self, action: str, reason: str, inputs: Mapping[str, object]
    ) -> objects.MigrationStep:
        """Write down a decision about the running job, with the numbers behind it."""
        self._decisions += 1
        now = self._clock.now()
        row = self._row(f"{DECISION}{action}", self._migration.source).replace(
            attempt=self._decisions,
            state=states.StepState.DONE,
            finished_at=now,
            details=f"{reason} {json.dumps(inputs)}",
        )
        return self._tell(row)

    def report(
        self, status: states.Move, expected: set[states.Move], host: str, **facts: object
    ) -> objects.MoveReport:
        """Make the report of a change of status, with every step not told yet."""
        steps, self._untold = list(self._untold.values()), {}
        return objects.MoveReport(
            migration_uuid=self._migration.uuid,
            generation=self._migration.generation,
            host=host,
            expected=sorted(expected),
            status=status,
            steps=steps,
            **facts,
        )

    def _read(self, row: objects.MigrationStep) -> None:
        """Learn of a row that is written."""
        if row.step.startswith(DECISION):
            self._decisions = max(self._decisions, row.attempt)
            return
        self._first.setdefault(row.step, row.started_at)
        self._last[row.step, row.host] = max(self._last[row.step, row.host], row.attempt)
        if row.state == states.StepState.STARTED:
            self._open[row.step] = row

    def _row(self, step: str, host: str) -> objects.MigrationStep:
        now = self._clock.now()
        self._first.setdefault(step, now)
        self._last[step, host] += 1
        return objects.MigrationStep(
            migration_uuid=self._migration.uuid,
            step=step,
            host=host,
            attempt=self._last[step, host],
            state=states.StepState.STARTED,
            started_at=now,
        )

    def _close(self, step: str, state: states.StepState, error: errors.Error | None) -> None:
        row = self._open.pop(step)
        self._tell(
            row.replace(
                state=state,
                finished_at=self._clock.now(),
                error_code=error.code if error else None,
                error=error.message if error else None,
            )
        )

    def _tell(self, row: objects.MigrationStep) -> objects.MigrationStep:
        """Send a row with the next report, in place of how it was before."""
        self._untold[row.step, row.attempt] = row
        return row

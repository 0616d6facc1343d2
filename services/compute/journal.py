"""The steps of a move at its source, sent along with the next report."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping

    from common.clock import Clock

LOG = logging.getLogger(__name__)


class Journal:
    """What was begun and ended since the last report."""

    def __init__(self, clock: Clock, migration: objects.Migration) -> None:
        """Begin with nothing to tell."""
        self._clock = clock
        self._migration = migration
        self._open: dict[str, objects.MigrationStep] = {}
        self._untold: dict[str, objects.MigrationStep] = {}
        self._decisions = 0

    def begun(self, step: str, host: str) -> None:
        """Take over a step that the conductor has written."""
        self._open[step] = self._row(step, host)

    def begin(self, step: str, host: str) -> None:
        """Begin a step."""
        self._untold[step] = self._open[step] = self._row(step, host)

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
        row = self._row(f"decide_{action}", self._migration.source).replace(
            attempt=self._decisions,
            state=states.StepState.DONE,
            finished_at=now,
            details=f"{reason} {json.dumps(inputs)}",
        )
        self._untold[f"decision {self._decisions}"] = row
        return row

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

    def _row(self, step: str, host: str) -> objects.MigrationStep:
        return objects.MigrationStep(
            migration_uuid=self._migration.uuid,
            step=step,
            host=host,
            state=states.StepState.STARTED,
            started_at=self._clock.now(),
        )

    def _close(self, step: str, state: states.StepState, error: errors.Error | None) -> None:
        row = self._open.pop(step)
        self._untold[step] = row.replace(
            state=state,
            finished_at=self._clock.now(),
            error_code=error.code if error else None,
            error=error.message if error else None,
        )

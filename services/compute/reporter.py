"""What compute tells the conductor, through whatever time the conductor is away."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import tenacity

from common import context as contexts
from common import errors

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from rpc.conductor import Conductor

LOG = logging.getLogger(__name__)

# Results must arrive: the guest has moved or stopped whether or not they do.
_again = tenacity.retry(
    retry=tenacity.retry_if_exception_type(errors.Unavailable),
    wait=tenacity.wait_exponential(multiplier=0.5, max=15),
    before_sleep=tenacity.before_sleep_log(LOG, logging.WARNING),
    reraise=True,
)


class Reporter:
    """One host's line to the conductor; every result is told until it is taken."""

    def __init__(self, host: str, conductor: Conductor) -> None:
        """Speak for one host."""
        self._host = host
        self._conductor = conductor
        self._board: dict[str, objects.MigrationProgress] = {}
        self._notes: list[objects.MigrationStep] = []
        self._reports: dict[str, list[objects.MoveReport]] = {}
        self._changed = threading.Event()
        # Set by whatever makes the host's numbers others than they were.
        self.host_changed = threading.Event()

    @_again
    def operation_ended(
        self,
        context: Context,
        instance: objects.Instance,
        operation: str,
        error: errors.Error | None,
        power: int,
    ) -> None:
        """Tell how an operation ended."""
        self.host_changed.set()
        self._conductor.operation_ended(
            context,
            instance.uuid,
            self._host,
            operation,
            generation=instance.generation,
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            power_state=int(power),
        )

    @_again
    def move(self, context: Context, report: objects.MoveReport) -> objects.Migration:
        """Tell a change of a move's status; raises StaleWrite when another decided first."""
        self.host_changed.set()
        earlier = self._reports.get(report.migration_uuid, [])
        told = self._conductor.move_report(context, report, earlier)
        self._reports.pop(report.migration_uuid, None)
        return told

    def soon(self, report: objects.MoveReport) -> None:
        """Put a change of a move's status on the board: told with the progress, waiting for nobody.

        It is told again until the move's next report is taken, and with that.
        """
        self._reports.setdefault(report.migration_uuid, []).append(report)
        self._changed.set()

    @_again
    def step(self, context: Context, report: objects.StepReport) -> None:
        """Tell how a step of a cold move ended."""
        self.host_changed.set()
        self._conductor.step_ended(context, report)

    def post(self, progress: objects.MigrationProgress) -> objects.MigrationProgress:
        """Put a move's progress on the board; its percent never goes back."""
        before = self._board.get(progress.migration_uuid)
        if before is not None and before.percent > progress.percent:
            progress = progress.replace(percent=before.percent)
        self._board[progress.migration_uuid] = progress
        self._changed.set()
        return progress

    def note(self, step: objects.MigrationStep) -> None:
        """Put a step on the board, to be told with the next progress."""
        self._notes.append(step)
        self._changed.set()

    def arrived(self, migration: str) -> objects.MigrationProgress | None:
        """Give the last progress of a move that has ended well, as all of it done."""
        last = self._board.get(migration)
        if last is None:
            return None
        return last.replace(
            percent=100,
            memory_processed=last.memory_total,
            memory_remaining=0,
            disk_processed=last.disk_total,
            disk_remaining=0,
            disks=[disk.replace(processed=disk.total, remaining=0) for disk in last.disks],
            eta_ms=0,
        )

    def forget(self, migration: str) -> None:
        """Take a move that has ended off the board."""
        self._board.pop(migration, None)
        self._reports.pop(migration, None)

    def send_board(self, interval: float, stop: threading.Event) -> None:
        """Send the board while something changes on it, one message per interval.

        Where nothing moves nobody wakes up. Set `stop` and call close() to end it.
        """
        while self._changed.wait() and not stop.wait(interval):
            self._changed.clear()
            notes, self._notes = self._notes, []
            self._send(notes)

    def close(self) -> None:
        """Wake send_board() to see that it is to stop."""
        self._changed.set()

    def _send(self, notes: list[objects.MigrationStep]) -> None:
        board = list(self._board.values())
        reports = [one for those in list(self._reports.values()) for one in those]
        if not (board or notes or reports):
            return
        try:
            self._conductor.move_progress(contexts.admin(), self._host, board, notes, reports)
        except errors.Unavailable as away:
            LOG.warning("progress of %d moves is not told: %s", len(board), away)

import threading

import pytest
import tenacity

from common import context
from common import errors
from common import objects
from services.compute import reporter as reporters
from tests import factories
from tests import waiting


class Conductor:
    """Writes down what it is told, and fails first as often as it should."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.ended: list[tuple[object, ...]] = []
        self.boards: list[list[objects.MigrationProgress]] = []
        self.reports: list[list[objects.MoveReport]] = []

    def _fail(self):
        if self.failures:
            raise self.failures.pop(0)

    def operation_ended(self, context, server, host, operation, **facts):
        self._fail()
        self.ended.append((server, host, operation, facts))

    def move_report(self, context, report, earlier):
        self._fail()
        self.reports.append([*earlier, report])
        return factories.migration(uuid=report.migration_uuid, status=report.status)

    def move_progress(self, context, host, progress, notes, reports):
        self._fail()
        self.boards.append(progress)
        self.reports.append(reports)


@pytest.fixture
def conductor():
    return Conductor()


@pytest.fixture
def reporter(conductor, monkeypatch):
    for method in (reporters.Reporter.operation_ended, reporters.Reporter.move):
        monkeypatch.setattr(method.retry, "wait", tenacity.wait_none())
    return reporters.Reporter("host1", conductor)


def report():
    return objects.MoveReport(
        migration_uuid="m", generation=0, host="host1", expected=["preparing"], status="running"
    )


def progress(percent, migration="m"):
    return objects.MigrationProgress(migration_uuid=migration, percent=percent)


def test_result_is_told_until_it_is_taken(reporter, conductor):
    """Whatever is away comes back; the guest has stopped all the same."""
    conductor.failures = [errors.BusDown("x"), errors.NoAnswer("x"), errors.DatabaseDown("x")]
    server = factories.instance(generation=4)

    reporter.operation_ended(context.admin(), server, "stop", errors.NoRoom("full"), 4)

    facts = {
        "generation": 4,
        "error_code": "no_room",
        "error_message": "full",
        "power_state": 4,
    }
    assert [(server.uuid, "host1", "stop", facts)] == conductor.ended


def test_report_of_a_move_is_told_until_it_is_taken(reporter, conductor):
    """And its row comes back."""
    conductor.failures = [errors.BusDown("x")]

    assert "running" == reporter.move(context.admin(), report()).status


def test_refusal_is_not_repeated(reporter, conductor):
    """Another has decided: telling it again cannot help."""
    conductor.failures = [errors.StaleWrite("it is cancelled")]

    with pytest.raises(errors.StaleWrite):
        reporter.move(context.admin(), report())


def test_percent_never_falls(reporter):
    """I9: a later pass over memory looks like less, and is not told so."""
    told = [reporter.post(progress(percent)).percent for percent in (10, 40, 30, 41)]

    assert [10, 40, 40, 41] == told


def test_new_move_begins_at_its_own_percent(reporter):
    """What was forgotten does not count for another attempt."""
    reporter.post(progress(90))
    reporter.forget("m")

    assert 1 == reporter.post(progress(1)).percent
    assert 2 == reporter.post(progress(2, "other")).percent


def test_board_is_sent_when_something_changed(reporter, conductor):
    """One message for all moves; a broker that is away costs one message only."""
    conductor.failures = [errors.BusDown("x")]
    stop = threading.Event()
    thread = threading.Thread(target=reporter.send_board, args=(0.01, stop))
    thread.start()

    reporter.post(progress(1))
    waiting.until(lambda: not conductor.failures, "the first message is lost")
    reporter.post(progress(2))
    reporter.post(progress(3, "other"))
    waiting.until(lambda: conductor.boards and len(conductor.boards[-1]) == 2, "both are told")
    stop.set()
    reporter.close()
    thread.join()

    assert {("m", 2), ("other", 3)} == {
        (one.migration_uuid, one.percent) for one in conductor.boards[-1]
    }


def test_report_that_nobody_waits_for_is_told_until_another_is_taken(reporter, conductor):
    """It goes with the board again and again, and with the next report at last."""
    stop = threading.Event()
    thread = threading.Thread(target=reporter.send_board, args=(0.01, stop))
    thread.start()

    reporter.soon(report())
    waiting.until(lambda: conductor.reports, "it is told")
    reporter.post(progress(2))
    waiting.until(lambda: len(conductor.reports) > 1, "it is told again")
    stop.set()
    reporter.close()
    thread.join()
    reporter.move(context.admin(), report().replace(status="completed"))
    reporter.move(context.admin(), report().replace(status="completed"))

    assert ["running"] == [one.status for one in conductor.reports[0]]
    assert ["running"] == [one.status for one in conductor.reports[1]]
    assert ["running", "completed"] == [one.status for one in conductor.reports[-2]]
    assert ["completed"] == [one.status for one in conductor.reports[-1]]


def test_arrived_is_all_of_it(reporter):
    """A move that was never looked at has no progress to tell."""
    reporter.post(progress(60))

    assert 100 == reporter.arrived("m").percent
    assert reporter.arrived("other") is None


def test_arrived_is_all_of_each_disk(reporter):
    """What the last look told of a disk is not how it ended."""
    disk = objects.DiskProgress(target="vda", total=10, processed=4, remaining=6)
    reporter.post(progress(60).replace(disks=[disk]))

    (ended,) = reporter.arrived("m").disks

    assert ("vda", 10, 10, 0) == (ended.target, ended.total, ended.processed, ended.remaining)

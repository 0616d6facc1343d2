import pytest

from common import clock
from common import errors
from common import states
from common.db import journal as rows
from common.db import moves
from services.compute.journal import Journal
from tests import factories
from tests.factories import NOW


@pytest.fixture
def held():
    return clock.HeldClock(NOW)


@pytest.fixture
def journal(held):
    return Journal(held, factories.migration(generation=3))


def report(journal, **facts):
    return journal.report(
        states.Move.RUNNING, {states.Move.PREPARING, states.Move.QUEUED}, "host1", **facts
    )


def told(report):
    return [(step.step, step.host, step.state, step.error) for step in report.steps]


def test_steps_are_told_once(journal, held):
    """Begun in one report, ended in the next, and then no more."""
    journal.begin("migrate", "host1")
    first = report(journal)
    held.advance(2)
    journal.ended("migrate")

    assert [("migrate", "host1", "started", None)] == told(first)
    second = report(journal)
    assert [("migrate", "host1", "done", None)] == told(second)
    assert 2 == (second.steps[0].finished_at - second.steps[0].started_at).total_seconds()
    assert [] == told(report(journal))


def test_step_that_ends_before_a_report_is_one_row(journal):
    """Its begin and end go together."""
    journal.begin("leave_source", "host1")
    journal.ended("leave_source")

    assert [("leave_source", "host1", "done", None)] == told(report(journal))


def test_step_of_the_conductor_is_told_when_it_ends(journal):
    """Its begin is written already."""
    journal.begun("pre_live_migration", "host2")

    assert [] == told(report(journal))
    assert journal.is_open("pre_live_migration")


def test_failure_of_a_step_is_told_and_stops_nothing(journal):
    """Errors on purpose only: others are for whoever drives."""

    def busy():
        raise errors.HypervisorError("busy")

    with journal.step("leave_source", "host1"):
        busy()
    with pytest.raises(ZeroDivisionError), journal.step("other", "host1"):
        raise ZeroDivisionError

    assert ("leave_source", "host1", "failed", "busy") == told(report(journal))[0]


def test_every_open_step_fails_with_the_move(journal):
    """The last one is where it happened."""
    journal.begun("pre_live_migration", "host2")
    journal.begin("migrate", "host1")

    last = journal.failed_at(errors.MoveFailed("lost"))

    assert ("migrate", "host1") == (last.step, last.host)
    assert {("failed", "lost")} == {(state, error) for _, _, state, error in told(report(journal))}
    assert journal.failed_at(errors.MoveFailed("lost")) is None


def test_report_names_what_is_expected(journal):
    """Generation, statuses in a fixed order, and the facts given."""
    made = report(journal, job_ms=12)

    assert (3, "host1", "running", 12) == (made.generation, made.host, made.status, made.job_ms)
    assert ["preparing", "queued"] == made.expected


class Book:
    """A move's journal as the conductor keeps it, and the processes that write it in turn."""

    def __init__(self, database, held) -> None:
        self.database = database
        self.held = held
        with database.write() as tx:
            self.move = moves.create(tx, factories.migration(instance_uuid="vm"))

    def open(self):
        """Begin a process that is told what is written."""
        with self.database.read() as tx:
            return Journal(self.held, self.move, rows.steps(tx, self.move.uuid))

    def take(self, journal):
        """Write what a process has to report, a second later."""
        self.held.advance(1)
        with self.database.write() as tx:
            for step in report(journal).steps:
                rows.step(tx, step)

    def told(self):
        with self.database.read() as tx:
            return [
                (step.step, step.attempt, step.state) for step in rows.steps(tx, self.move.uuid)
            ]


@pytest.fixture
def book(database, held):
    return Book(database, held)


def test_process_that_takes_a_move_up_goes_on_with_its_steps(book):
    """What an earlier one has begun is ended; what it has ended stays."""
    first = book.open()
    first.begin("pre_live_migration", "host2")
    first.ended("pre_live_migration")
    first.begin("migrate", "host1")
    book.take(first)

    second = book.open()
    second.begin("migrate", "host1")
    second.ended("migrate")
    book.take(second)

    assert [
        ("pre_live_migration", 1, "done"),
        ("migrate", 1, "done"),
    ] == book.told()


def test_decisions_of_each_process_are_kept(book):
    """Numbers go on where the process before has ended."""
    for process in range(2):
        journal = book.open()
        journal.decided("set-downtime", f"process {process}", {"downtime_ms": 100})
        journal.decided("pause", f"process {process}", {})
        book.take(journal)

    assert [
        ("decide_set-downtime", 1, "done"),
        ("decide_pause", 2, "done"),
        ("decide_set-downtime", 3, "done"),
        ("decide_pause", 4, "done"),
    ] == book.told()


def test_each_recovery_is_a_step(book):
    """A link that breaks twice leaves two failures and two recoveries, in one process or two."""
    journal = book.open()
    journal.begin("migrate", "host1")
    for _break in range(2):
        book.take(journal)
        journal.failed("migrate", errors.LinkLost("cut"))
        journal.begin("recover_post_copy", "host1")
        book.take(journal)
        journal = book.open()
        journal.ended("recover_post_copy")
        journal.begin("migrate", "host1")
    journal.ended("migrate")
    book.take(journal)

    assert [
        ("migrate", 1, "failed"),
        ("recover_post_copy", 1, "done"),
        ("migrate", 2, "failed"),
        ("recover_post_copy", 2, "done"),
        ("migrate", 3, "done"),
    ] == sorted(book.told(), key=lambda told: (told[1], told[0]))


def test_time_since_a_steps_first_begin_is_known(book):
    """Also to a process that has not begun it itself."""
    first = book.open()
    first.begin("migrate", "host1")
    book.take(first)
    book.held.advance(9)

    assert 10.0 == book.open().since("migrate")
    assert 0.0 == book.open().since("leave_source")

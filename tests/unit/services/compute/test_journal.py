import pytest

from common import clock
from common import errors
from common import states
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

import datetime

import pytest

from common import errors
from common.db import journal
from common.db import moves
from tests import factories
from tests.factories import NOW

LATER = NOW + datetime.timedelta(seconds=5)


@pytest.fixture
def move(database):
    """A move of server vm under request req-1."""
    with database.write() as tx:
        return moves.create(tx, factories.migration(instance_uuid="vm"))


def test_a_step_ends_where_it_began(database, move):
    step = factories.step(move)
    ended = step.replace(state="failed", finished_at=LATER, error_code="x", error="no bridge")
    with database.write() as tx:
        journal.step(tx, step)
        journal.step(tx, ended)

        assert [ended] == journal.steps(tx, move.uuid)


def test_late_and_repeated_steps_change_nothing(database, move):
    """In whatever order the reports come, what ended stays ended as it did first."""
    step = factories.step(move)
    done = step.replace(state="done", finished_at=LATER)
    with database.write() as tx:
        for row in (done, step, done, step.replace(state="failed", error="late")):
            journal.step(tx, row)

        assert [done] == journal.steps(tx, move.uuid)


def test_attempts_and_hosts_are_steps_of_their_own(database, move):
    first = factories.step(move)
    second = first.replace(attempt=2, started_at=LATER)
    third = first.replace(host="host3", started_at=LATER + datetime.timedelta(seconds=1))
    with database.write() as tx:
        for row in (third, second, first):
            journal.step(tx, row)

        assert [first, second, third] == journal.steps(tx, move.uuid)


def test_events_of_an_action(database):
    with database.write() as tx:
        journal.start(tx, factories.action("vm"))
        journal.begin_event(tx, "req-1", "vm", "build", "host1", NOW)
        journal.begin_event(tx, "req-1", "vm", "build", "host1", LATER)
        journal.begin_event(tx, "req-1", "vm", "plug", None, LATER)
        journal.end_event(tx, "req-1", "vm", "build", "host1", LATER, "no disk")

        build, plug = journal.action(tx, "vm", "req-1").events

    assert ("build", "host1", NOW, LATER, "Error", "no disk") == (
        build.event,
        build.host,
        build.started_at,
        build.finished_at,
        build.result,
        build.details,
    )
    assert ("plug", None, None) == (plug.event, plug.finished_at, plug.result)


def test_the_steps_of_a_move_are_events_of_its_action(database, move):
    with database.write() as tx:
        journal.start(tx, factories.action("vm"))
        journal.step(tx, factories.step(move, state="done", finished_at=LATER))
        journal.step(tx, factories.step(move, step="check", state="failed", error="too small"))

        events = journal.action(tx, "vm", "req-1").events

    assert {("pre_live_migration", "Success", None), ("check", "Error", "too small")} == {
        (event.event, event.result, event.details) for event in events
    }


def test_an_action_ends_with_what_is_open_of_it(database):
    with database.write() as tx:
        journal.start(tx, factories.action("vm"))
        journal.begin_event(tx, "req-1", "vm", "build", "host1", NOW)
        journal.finish(tx, "req-1", "vm", LATER, "no valid host")
        journal.finish(tx, "req-1", "vm", LATER + datetime.timedelta(seconds=1), None)

        action = journal.action(tx, "vm", "req-1")

    assert ("no valid host", LATER) == (action.message, action.finished_at)
    assert ["Error"] == [event.result for event in action.events]


def test_a_repeated_start_changes_nothing(database):
    with database.write() as tx:
        journal.start(tx, factories.action("vm"))
        journal.start(tx, factories.action("vm", action="other"))

        assert ["live-migration"] == [found.action for found in journal.actions(tx, "vm")]


def test_actions_are_paged_newest_first(database):
    with database.write() as tx:
        for number in range(3):
            journal.start(tx, factories.action("vm", request_id=f"req-{number}"))
            journal.start(tx, factories.action("other", request_id=f"req-{number}"))

        first = journal.actions(tx, "vm", limit=2)
        rest = journal.actions(tx, "vm", limit=2, marker=first[-1].request_id)

    assert ["req-2", "req-1", "req-0"] == [found.request_id for found in first + rest]


@pytest.mark.parametrize(
    "ask",
    [journal.action, lambda tx, vm, request: journal.begin_event(tx, request, vm, "e", None, NOW)],
)
def test_an_unknown_action_is_not_found(database, ask):
    with pytest.raises(errors.ActionNotFound, match="req-9"), database.write() as tx:
        ask(tx, "vm", "req-9")


def test_a_step_needs_its_move(database):
    with pytest.raises(errors.Conflict), database.write() as tx:
        journal.step(tx, factories.step(factories.migration()))

"""The source's part of a move, with a simulated hypervisor and a conductor of paper.

What all services make of it together is in tests/functional.
"""

import pytest

from common import context
from common import errors
from common import states
from tests import stage as stages
from tests import waiting


def test_reports_come_in_order(make):
    """Running, post-migrating, completed; each once, with the steps since."""
    stage = make()

    stage.start()

    assert states.Move.COMPLETED == stage.over()
    assert ["running", "post-migrating", "completed"] == [
        report.status for report in stage.conductor.reports
    ]
    assert ["prepare", "finish"] == stage.peer.calls
    assert ["host2"] == stage.world.running(stage.server.uuid)


def test_leased_move_begins_without_asking(make):
    """While the lease lasts the conductor is told once, at the end, all that happened."""
    stage = make()
    stage.migration = stage.leased(60)

    stage.start()

    assert states.Move.COMPLETED == stage.over()
    (told,) = stage.conductor.calls
    assert ["running", "post-migrating", "completed"] == [report.status for report in told]


def test_move_of_an_old_lease_asks_before_it_begins(make):
    """Another may have ended it: nothing begins before the conductor agrees."""
    stage = make()
    stage.migration = stage.leased(5)
    stage.conductor.row = stage.migration.replace(status=states.Move.FAILED)

    stage.start()
    stage.over()

    assert [["running"]] == [[one.status for one in told] for told in stage.conductor.calls]
    assert ["prepare", "undo"] == stage.peer.calls
    assert ["host1"] == stage.world.running(stage.server.uuid)


def test_job_that_was_begun_unheard_is_taken_up_again(make):
    """A source that was killed before its first report prepares nothing anew."""
    stage = make()
    stage.start()
    stage.over()
    stage.peer.calls.clear()
    again = stage.leased(-1).replace(uuid="n")
    stage.conductor.row = again.replace(status=states.Move.RUNNING)

    stage.outgoing.start(context.admin(), stage.server, again)
    waiting.until(lambda: stage.conductor.row.status in states.TERMINAL, "the move ended")

    assert states.Move.COMPLETED == stage.conductor.row.status
    assert ["finish"] == stage.peer.calls


def test_move_that_was_refused_comes_again(make):
    """The next attempt is of a later generation; the first one, told again, is left alone."""
    stage = make()
    stage.world.plant("host2", "prepare", errors.NoDiskSpace("host2 is full"))
    first = stage.migration
    stage.start()
    stage.over()
    stage.migration = stage.conductor.row = first.replace(generation=1)

    stage.start()
    assert states.Move.COMPLETED == stage.over()
    stage.outgoing.start(context.admin(), stage.server, first)

    assert ["prepare", "undo", "prepare", "finish"] == stage.peer.calls
    with pytest.raises(errors.WrongState):
        stage.outgoing.find("m")


def test_move_that_takes_too_long_is_aborted(make):
    """The policy's time is over: the guest stays, and the reason says so."""
    stage = make(memory_mb=20_000, completion_timeout=1, on_timeout="abort")

    stage.start()

    assert states.Move.CANCELLED == stage.over()
    assert "not finished within 1 s" in stage.conductor.reports[-1].error_message
    assert ["host1"] == stage.world.running(stage.server.uuid)


@pytest.mark.parametrize("status", [states.Move.RUNNING, states.Move.POST_MIGRATING])
def test_move_is_taken_up_again(make, status):
    """A source that was killed goes on where its row says it was, and prepares nothing anew."""
    stage = make()
    stage.start()
    stage.over()
    stage.peer.calls.clear()
    again = stage.migration.replace(uuid="n", status=status)
    stage.conductor.row = again

    stage.outgoing.start(context.admin(), stage.server, again)
    waiting.until(lambda: stage.conductor.row.status in states.TERMINAL, "the move ended")

    assert states.Move.COMPLETED == stage.conductor.row.status
    assert ["finish"] == stage.peer.calls
    assert ["host2"] == stage.world.running(stage.server.uuid)


def test_another_decision_takes_the_preparation_back(make):
    """The row was cancelled while the destination got ready: nothing begins."""
    stage = make()
    stage.conductor.row = stage.migration.replace(status=states.Move.CANCELLED)

    stage.start()
    stage.over()

    assert ["prepare", "undo"] == stage.peer.calls
    assert set() == stage.world.host("host2").files
    assert ["host1"] == stage.world.running(stage.server.uuid)


def test_destination_without_an_answer_fails_the_move(make):
    """Told to undo until it has."""
    stage = make()
    stage.world.plant("host2", "prepare", errors.NoAnswer("host2 did not answer"))
    stage.world.plant("host2", "undo", errors.NoAnswer("host2 did not answer"))

    stage.start()

    assert states.Move.FAILED == stage.over()
    last = stage.conductor.reports[-1]
    assert ("no_answer", "pre_live_migration", "host2") == (
        last.error_code,
        last.failed_step,
        last.failed_host,
    )
    assert ["failed", "done"] == [step.state for step in last.steps]


def test_abort_waits_for_no_preparation(make):
    """The source undoes at once what its destination still makes, and nothing begins."""
    stage = make()
    held = stage.world.hold("host2", "prepare")
    stage.start()
    assert held.begun.wait(stages.PATIENCE)

    stage.outgoing.find("m").abort("aborted by a user")

    assert states.Move.CANCELLED == stage.over()
    last = stage.conductor.reports[-1]
    assert ("aborted by a user", "pre_live_migration") == (last.error_message, last.failed_step)
    assert ["prepare", "undo"] == stage.peer.calls
    assert ["host1"] == stage.world.running(stage.server.uuid)
    held.go.set()


def test_abort_is_what_is_told_although_nobody_answers(make):
    """Which of the two was noticed first does not matter to who aborted it."""
    stage = make()
    held = stage.world.hold("host2", "prepare")
    stage.world.plant("host2", "prepare", errors.NoAnswer("it gave no sign of life"))
    stage.start()
    assert held.begun.wait(stages.PATIENCE)

    stage.outgoing.find("m").abort("aborted by a user")
    held.go.set()

    assert states.Move.CANCELLED == stage.over()


def test_abort_of_what_does_not_go_on_is_refused(make):
    """The sentence names the move."""
    with pytest.raises(errors.WrongState, match="m is not going on"):
        make().outgoing.find("m")

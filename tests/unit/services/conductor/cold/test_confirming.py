"""What a source keeps is removed only once its guest was seen at the destination."""

import datetime

import pytest

from common import errors
from common import objects
from common import states
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import queue
from tests import factories

RUNNING, PAUSED, SHUTDOWN = states.Power.RUNNING, states.Power.PAUSED, states.Power.SHUTDOWN


def waiting(stage, power=RUNNING, /, **values):
    """Write a server that was moved to host2 and waits for its user, and its move."""
    server = stage.server("host2", vm_state=states.Vm.RESIZED, power_state=power)
    given = {"type": "migration", "status": "finished", "source": "host1", "destination": "host2"}
    cold = factories.cold_move(was=values.pop("was", states.Vm.ACTIVE), **values.pop("cold", {}))
    with stage.deps.database.write() as tx:
        row = factories.migration(instance_uuid=server.uuid, cold=cold, **{**given, **values})
        return server, moves.create(tx, row)


def sees(stage, power):
    """Have host2 see this of the guest."""
    seen = objects.GuestSeen(host="host2", power_state=None if power is None else int(power))
    stage.everybody.answers["host2", "observe_guest"] = seen


def confirm(stage, server):
    stage.manager.confirm_resize(stage.context, server.uuid)


def read(stage, move):
    with stage.deps.database.read() as tx:
        return moves.get(tx, move.uuid)


def tick(stage):
    """Let time pass until whatever is due is due, and do it."""
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)
    for name in ("host1", "host2", "host3"):
        stage.host(name)
    queue.tick(stage.deps)
    stage.work()


@pytest.mark.parametrize(
    ("recorded", "seen"),
    [
        (RUNNING, RUNNING),
        (SHUTDOWN, SHUTDOWN),
        (SHUTDOWN, RUNNING),
        (PAUSED, PAUSED),
    ],
)
def test_guest_that_is_as_recorded_is_confirmed(stage, recorded, seen):
    """One that its user has stopped since, too."""
    server, move = waiting(stage, recorded)
    sees(stage, seen)

    confirm(stage, server)

    assert "confirm_resize" == read(stage, move).stage


def test_guest_that_died_is_not_confirmed_before_its_user_knows(stage):
    """The refusal says what was seen, and is kept; what was seen becomes the record."""
    server, move = waiting(stage)
    sees(stage, SHUTDOWN)

    with pytest.raises(errors.WrongState, match="host2 is shutdown, and should be running"):
        confirm(stage, server)
    refused = read(stage, move)
    told = stage.read(server.uuid)
    confirm(stage, server)

    assert (states.Move.FINISHED, None) == (refused.status, refused.stage)
    assert "is shutdown" in refused.error_message
    assert (states.Vm.RESIZED, None, SHUTDOWN) == (
        told.vm_state,
        told.task_state,
        told.power_state,
    )
    assert ("confirm_resize", None) == (read(stage, move).stage, read(stage, move).error_message)


@pytest.mark.parametrize("power", [None, states.Power.NOSTATE])
@pytest.mark.parametrize("recorded", [RUNNING, SHUTDOWN])
def test_what_the_source_keeps_stays_while_there_is_nothing_else(stage, recorded, power):
    """However often it is asked for."""
    server, move = waiting(stage, recorded)
    sees(stage, power)

    for _ in range(2):
        with pytest.raises(errors.WrongState, match="host2 has nothing of its guest"):
            confirm(stage, server)

    assert states.Move.FINISHED == read(stage, move).status


def test_destination_that_is_down_confirms_nothing(stage):
    server, move = waiting(stage)
    stage.force_down("host2")

    with pytest.raises(errors.HostUnsuitable, match="host2"):
        confirm(stage, server)

    assert states.Move.FINISHED == read(stage, move).status


def test_deleted_server_needs_no_guest(stage):
    server, move = waiting(stage)
    sees(stage, None)

    stage.manager.operate(stage.context, server.uuid, "delete")

    assert "confirm_resize" == read(stage, move).stage


class TestByItself:
    """A move whose time has come confirms itself, if its guest is seen."""

    @pytest.mark.parametrize(
        ("was", "seen"),
        [(states.Vm.ACTIVE, RUNNING), (states.Vm.STOPPED, SHUTDOWN), (states.Vm.STOPPED, RUNNING)],
    )
    def test_guest_that_is_as_it_was_is_confirmed(self, stage, was, seen):
        _server, move = waiting(stage, was=was, confirm_at=factories.NOW)
        sees(stage, seen)

        tick(stage)

        found = read(stage, move)
        assert ("confirm_resize", None) == (found.stage, found.confirm_at)

    @pytest.mark.parametrize("seen", [PAUSED, SHUTDOWN, states.Power.CRASHED, None])
    @pytest.mark.parametrize("recorded", [RUNNING, SHUTDOWN])
    def test_guest_that_ran_has_to_run(self, stage, recorded, seen):
        """It is looked at again a lease later, and the reason goes when it is confirmed."""
        _server, move = waiting(stage, recorded, confirm_at=factories.NOW)
        sees(stage, seen)

        tick(stage)
        held = read(stage, move)
        sees(stage, RUNNING)
        queue.tick(stage.deps)
        stage.work()
        early = read(stage, move)
        tick(stage)
        found = read(stage, move)

        assert (states.Move.FINISHED, None) == (held.status, held.stage)
        assert "host2" in held.error_message
        assert stage.deps.conf.conductor.lease == _seconds(held.confirm_at, held.updated_at)
        assert states.Move.FINISHED == early.status
        assert ("confirm_resize", None) == (found.stage, found.error_message)

    def test_silent_destination_is_asked_again(self, stage):
        _server, move = waiting(stage, confirm_at=factories.NOW)
        stage.force_down("host2")

        tick(stage)
        held = read(stage, move)
        stage.lift("host2")
        sees(stage, RUNNING)
        tick(stage)

        assert "host2 cannot be asked for its guest" in held.error_message
        assert "confirm_resize" == read(stage, move).stage

    def test_whoever_decides_first_has_decided(self, stage):
        """The destination was asked, and its user has reverted meanwhile."""
        server, move = waiting(stage, confirm_at=factories.NOW)

        def reverted(_instance):
            stage.manager.revert_resize(stage.context, server.uuid)
            return objects.GuestSeen(host="host2", power_state=int(RUNNING))

        stage.everybody.answers["host2", "observe_guest"] = reverted
        tick(stage)

        assert "revert_resize" == read(stage, move).stage


class TestStart:
    """A move is finished when a guest that ran was seen after its start."""

    def started(self, stage, power, was=states.Vm.ACTIVE):
        """Have host2 report that it has started the guest; gives the move."""
        server, move = waiting(
            stage, was=was, status="post-migrating", stage="finish_resize", owner="host2"
        )
        with stage.deps.database.write() as tx:
            servers.change(tx, server.uuid, vm_state=was, task_state=states.Task.RESIZE_FINISH)
        self.report(stage, move, "finish_resize", power_state=power)
        return read(stage, move)

    def report(self, stage, move, step, **values):
        now = stage.clock.now()
        told = objects.StepReport(
            migration_uuid=move.uuid,
            generation=move.generation,
            step=step,
            host="host2",
            started_at=now,
            finished_at=now + datetime.timedelta(seconds=1),
            **values,
        )
        stage.manager.step_ended(stage.context, told)

    @pytest.mark.parametrize("power", [SHUTDOWN, states.Power.CRASHED, None])
    def test_guest_that_died_at_once_is_brought_back(self, stage, power):
        move = self.started(stage, power)

        with stage.deps.database.read() as tx:
            (ended, *_) = journal.steps(tx, move.uuid)
        assert ("undo_resize", "finish_resize") == (move.stage, move.failed_step)
        assert "host2: its guest was started and runs no more" in move.error_message
        assert (states.StepState.FAILED, "hypervisor_error") == (ended.state, ended.error_code)

    def test_guest_that_runs_after_all_is_looked_at_anew(self, stage):
        """Its host does not answer for what it saw before."""
        before = self.started(stage, None)

        self.report(stage, before, "undo_resize", error_code="conflict", error_message="it runs")
        again = read(stage, before)
        self.report(stage, again, "finish_resize", power_state=RUNNING)

        assert ("finish_resize", before.generation + 1) == (again.stage, again.generation)
        assert states.Move.FINISHED == read(stage, again).status

    @pytest.mark.parametrize(
        ("was", "power"),
        [(states.Vm.ACTIVE, RUNNING), (states.Vm.ACTIVE, PAUSED), (states.Vm.STOPPED, SHUTDOWN)],
    )
    def test_guest_that_is_there_is_finished(self, stage, was, power):
        """One that stands still is, too: undoing would end it."""
        assert states.Move.FINISHED == self.started(stage, power, was).status


def _seconds(late, early):
    return (late - early).total_seconds()


class TestHostIsGoneForGood:
    """An operator said so, before the decision: the move ends without it all the same."""

    def test_source_keeps_no_server_from_being_confirmed(self, stage):
        server, move = waiting(stage)
        sees(stage, RUNNING)
        stage.force_down("host1")

        confirm(stage, server)
        tick(stage)

        assert "settle_resize" == read(stage, move).stage
        assert ("host2", "settle_resize") == stage.everybody.told("cold_step")[-1]

    def test_destination_keeps_no_server_from_being_reverted(self, stage):
        server, move = waiting(stage)
        stage.force_down("host2")

        stage.manager.revert_resize(stage.context, server.uuid)
        tick(stage)

        assert "finish_revert_resize" == read(stage, move).stage
        assert ("host1", "finish_revert_resize") == stage.everybody.told("cold_step")[-1]

    @pytest.mark.parametrize(("decide", "host"), [("confirm", "host1"), ("revert", "host2")])
    def test_one_that_is_only_silent_is_waited_for(self, stage, decide, host):
        """It may be back in a minute."""
        server, move = waiting(stage)
        sees(stage, RUNNING)
        stage.clock.advance(stage.deps.conf.service.down_after + 1)
        for name in {"host1", "host2", "host3"} - {host}:
            stage.host(name)

        with pytest.raises(errors.HostUnsuitable, match=host):
            getattr(stage.manager, f"{decide}_resize")(stage.context, server.uuid)

        assert states.Move.FINISHED == read(stage, move).status


def test_delete_stands_whatever_its_abort_meets(stage):
    """Who asked is not told of a conflict about what is done in the end."""
    server = stage.server(task_state=states.Task.RESIZE_MIGRATING)
    row = factories.migration(
        instance_uuid=server.uuid,
        type="migration",
        status="migrating",
        stage="resize_instance",
        owner="host1",
        source="host1",
        destination="host2",
        cold=factories.cold_move(),
    )
    with stage.deps.database.write() as tx:
        move = moves.create(tx, row)

    def moved_on(_migration):
        raise errors.StaleWrite("it is beyond that")

    stage.everybody.answers["host1", "abort_cold_move"] = moved_on

    stage.manager.operate(stage.context, server.uuid, "delete")

    assert [("host1", move.uuid)] == stage.everybody.told("abort_cold_move")
    assert read(stage, move).cold.then_delete

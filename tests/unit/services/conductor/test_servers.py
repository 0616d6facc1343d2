import pytest

from common import context
from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import lost
from tests import factories

BUSY = ("spawning", "powering_off", "powering_on", "rebooting", "rebooting_hard", "pausing")


def select(stage, host):
    """Have the scheduler claim the host, as it does."""

    def answer(spec):
        with stage.deps.database.write() as tx:
            amounts = claims.claim(tx, host, spec.consumer, claims.amounts(spec.flavor))
        return objects.Selection(host=host, consumer=spec.consumer, amounts=amounts)

    stage.everybody.answers["scheduler", "select_destinations"] = answer


def create(stage):
    return stage.manager.create_server(
        context.admin(), objects.NewServer(name="vm", flavor=factories.flavor())
    )


def report(stage, server, operation, host="host1"):
    stage.manager.operation_ended(
        context.admin(),
        server.uuid,
        host,
        operation,
        generation=server.generation,
        error_code=None,
        error_message=None,
        power_state=1,
    )


@pytest.mark.parametrize("task", BUSY)
def test_server_is_deleted_whatever_is_done_to_it(stage, task):
    """What was begun may never be reported on."""
    server = stage.server(task_state=task)

    stage.manager.operate(context.admin(), server.uuid, "delete")

    assert "deleting" == stage.read(server.uuid).task_state
    assert [("host1", "delete")] == stage.everybody.told("operate")


def test_moving_server_is_not_deleted(stage):
    """Its move is aborted first."""
    server = stage.server(task_state="migrating")

    with pytest.raises(errors.WrongState, match="task_state migrating"):
        stage.manager.operate(context.admin(), server.uuid, "delete")


def test_server_without_a_host_is_deleted_at_once(stage):
    """Also while its host is looked for; what is claimed for it afterwards is given back."""
    server = create(stage)
    select(stage, "host2")

    stage.manager.operate(context.admin(), server.uuid, "delete")
    (place,) = stage.deps.pool.work
    place()

    assert states.Vm.DELETED == stage.read(server.uuid).vm_state
    assert [] == stage.held(server.uuid)
    assert [] == stage.everybody.told("build_server")


def test_room_of_a_guest_that_runs_after_all_is_kept(stage):
    """The broker took the message to build it, and was gone before it said so."""
    server = create(stage)
    select(stage, "host2")

    def build(placed):
        report(stage, placed, "build", "host2")
        raise errors.BusDown("gone")

    stage.everybody.answers["host2", "build_server"] = build
    (place,) = stage.deps.pool.work
    place()

    assert states.Vm.ACTIVE == stage.read(server.uuid).vm_state
    assert ["host2"] == stage.held(server.uuid)


@pytest.mark.parametrize("state", ["error", "deleted"])
def test_guest_of_a_build_that_was_given_up_is_removed(stage, state):
    """And the row stays what it is."""
    server = stage.server("host1", vm_state="building", task_state="spawning", launched_at=None)
    with stage.deps.database.write() as tx:
        servers.change(tx, server.uuid, vm_state=state, task_state=None)

    report(stage, server, "build")

    assert [("host1", "delete")] == stage.everybody.told("operate")
    report(stage, stage.read(server.uuid), "delete")
    assert state == stage.read(server.uuid).vm_state


def test_guest_that_was_reported_already_is_left_alone(stage):
    server = stage.server("host1", vm_state="building", task_state="spawning", launched_at=None)
    report(stage, server, "build")

    report(stage, server, "build")

    assert states.Vm.ACTIVE == stage.read(server.uuid).vm_state
    assert [] == stage.everybody.told("operate")


def test_server_of_a_silent_host_waits_for_it(stage):
    """It may run there; the refusal says what to do when the host never comes back."""
    server = stage.server()
    stage.clock.advance(3600)

    with pytest.raises(errors.WrongState, match=r"last seen 3600 s ago.*force-down host1$"):
        stage.manager.operate(context.admin(), server.uuid, "delete")


def test_server_of_a_host_that_was_given_up_is_deleted_without_it(stage):
    server = stage.server()
    stage.force_down("host1")

    stage.manager.operate(context.admin(), server.uuid, "delete")

    assert states.Vm.DELETED == stage.read(server.uuid).vm_state
    assert [] == stage.held(server.uuid)
    assert [] == stage.everybody.told("operate")


def test_delete_looks_wherever_a_move_that_nobody_understood_may_have_left_the_guest(stage):
    server = stage.server()
    with stage.deps.database.write() as tx:
        move = moves.create(
            tx,
            factories.migration(instance_uuid=server.uuid, destination="host2", status="error"),
        )
        claims.claim(tx, "host2", move.uuid, claims.amounts(server.flavor))

    stage.manager.operate(context.admin(), server.uuid, "delete")
    report(stage, stage.read(server.uuid), "delete")

    assert states.Vm.DELETED == stage.read(server.uuid).vm_state
    assert [("host1", "delete"), ("host2", "delete")] == stage.everybody.told("operate")
    assert [] == stage.held(move.uuid)


def away(stage, error, before=None):
    """Have the host's order fail, after it was carried out if `before` does so."""

    def refuse(server, operation):
        if before is not None:
            before(server, operation)
        raise error

    stage.everybody.answers["host1", "operate"] = refuse


def test_order_that_may_have_gone_out_stays_and_is_repeated(stage):
    """The broker was gone before it said whether it had taken the message."""
    server = stage.server()
    away(stage, errors.BusDown("gone"))

    stage.manager.operate(context.admin(), server.uuid, "stop")

    begun = stage.read(server.uuid)
    assert states.Task.POWERING_OFF == begun.task_state
    stage.everybody.answers.clear()
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)
    lost.tick(stage.deps)
    assert [("host1", "stop")] * 2 == stage.everybody.told("operate")
    report(stage, begun, "stop")
    assert states.Vm.STOPPED == stage.read(server.uuid).vm_state


def test_order_that_was_carried_out_is_recorded_though_the_broker_was_gone(stage):
    """Its report came before the conductor knew that it had been sent."""
    server = stage.server()
    away(
        stage,
        errors.BusDown("gone"),
        before=lambda told, operation: report(stage, told, operation),
    )

    stage.manager.operate(context.admin(), server.uuid, "stop")

    after = stage.read(server.uuid)
    assert (states.Vm.STOPPED, None) == (after.vm_state, after.task_state)


def test_order_that_nobody_could_take_is_taken_back(stage):
    """There is no queue of that host: the message went nowhere."""
    server = stage.server()
    away(stage, errors.NoAnswer("nobody serves compute on host1"))

    with pytest.raises(errors.NoAnswer, match="nobody serves"):
        stage.manager.operate(context.admin(), server.uuid, "stop")

    after = stage.read(server.uuid)
    assert (states.Vm.ACTIVE, None) == (after.vm_state, after.task_state)
    with stage.deps.database.read() as tx:
        (asked,) = journal.actions(tx, server.uuid)
    assert "nobody serves compute on host1" == asked.message

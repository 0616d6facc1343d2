"""Servers that stay where they are: created, operated, deleted, and told so twice."""

import pytest

from common import context
from common import errors
from common import objects
from common import states
from tests import factories
from tests import stage as stages

BROKEN = errors.HypervisorError("the hypervisor says no")


def guest(stage, server):
    return stage.world.host(server.host).guests.get(server.uuid)


def sent(server, **values):
    """Give the server as the conductor sends it with its next change of state."""
    return server.replace(generation=server.generation + 1, **values)


def test_server_is_built(stage):
    """It runs where it is recorded, with its room claimed and its action ended."""
    made = stage.create()
    assert (states.Vm.BUILDING, states.Task.SPAWNING) == (made.vm_state, made.task_state)

    server = stage.idle(made.uuid)

    assert (states.Vm.ACTIVE, "host1", None) == (server.vm_state, server.host, server.fault_code)
    assert ["host1"] == stage.world.running(server.uuid)
    assert {"host1": {"VCPU": 1, "MEMORY_MB": 100, "DISK_GB": 1}} == stage.held(server.uuid)
    (created,) = stage.actions(server.uuid)
    assert ("create", None) == (created.action, created.message)


@pytest.mark.parametrize(
    ("steps", "state", "power"),
    [
        (["stop"], states.Vm.STOPPED, states.Power.SHUTDOWN),
        (["stop", "start"], states.Vm.ACTIVE, states.Power.RUNNING),
        (["pause"], states.Vm.PAUSED, states.Power.PAUSED),
        (["pause", "unpause"], states.Vm.ACTIVE, states.Power.RUNNING),
        (["reboot_soft"], states.Vm.ACTIVE, states.Power.RUNNING),
        (["reboot_hard"], states.Vm.ACTIVE, states.Power.RUNNING),
        (["stop", "reboot_hard"], states.Vm.ACTIVE, states.Power.RUNNING),
        (["pause", "reboot_hard"], states.Vm.ACTIVE, states.Power.RUNNING),
    ],
)
def test_operations_end_in_their_state(stage, steps, state, power):
    """Record and hypervisor agree, one after the other without a pause."""
    server = stage.boot()

    for step in steps:
        server = stage.operate(server.uuid, step)

    assert (state, power) == (server.vm_state, guest(stage, server).power)
    assert steps == [action.action for action in stage.actions(server.uuid)][-2::-1]


def test_task_is_set_before_the_answer(stage):
    """Whoever looks after the call sees that something is being done."""
    server = stage.boot()
    held = stage.world.hold("host1", "power_off")

    stage.conductor.operate(context.admin(), server.uuid, "stop")

    assert states.Task.POWERING_OFF == stage.server(server.uuid).task_state
    held.go.set()
    stage.idle(server.uuid)


@pytest.mark.parametrize(
    ("before", "operation", "state"),
    [
        ([], "start", "vm_state active"),
        ([], "unpause", "vm_state active"),
        (["stop"], "stop", "vm_state stopped"),
        (["stop"], "pause", "vm_state stopped"),
        (["stop"], "reboot_soft", "vm_state stopped"),
        (["pause"], "stop", "vm_state paused"),
    ],
)
def test_wrong_state_is_refused_with_the_state(stage, before, operation, state):
    """Nothing is written, not even an action."""
    server = stage.boot()
    for step in before:
        server = stage.operate(server.uuid, step)

    with pytest.raises(errors.WrongState, match=f"'{operation}'.*{state}"):
        stage.conductor.operate(context.admin(), server.uuid, operation)

    assert server == stage.server(server.uuid)
    assert 1 + len(before) == len(stage.actions(server.uuid))


def test_operation_during_another_is_refused(stage):
    """The refusal names the task."""
    server = stage.boot()
    held = stage.world.hold("host1", "pause")
    stage.conductor.operate(context.admin(), server.uuid, "pause")

    with pytest.raises(errors.WrongState, match="task_state pausing"):
        stage.conductor.operate(context.admin(), server.uuid, "stop")

    held.go.set()
    assert states.Vm.PAUSED == stage.idle(server.uuid).vm_state


def test_unknown_operation_and_server_are_refused(stage):
    """Both name what is wrong."""
    server = stage.boot()

    with pytest.raises(errors.Invalid, match="dance"):
        stage.conductor.operate(context.admin(), server.uuid, "dance")
    with pytest.raises(errors.ServerNotFound, match="nobody"):
        stage.conductor.operate(context.admin(), "nobody", "stop")


def test_host_that_is_down_is_told_nothing(stage):
    """The refusal says why, and the server keeps its state."""
    server = stage.boot()
    stage.mark("host1", forced_down=True)

    with pytest.raises(errors.WrongState, match=r"host1.*forced down"):
        stage.conductor.operate(context.admin(), server.uuid, "stop")

    assert server == stage.server(server.uuid)


@pytest.mark.parametrize("fault", [BROKEN, ZeroDivisionError("planted")])
def test_failed_operation_keeps_the_state(stage, fault):
    """The fault is recorded, a running guest is never in error, and the user may try again."""
    server = stage.boot()
    stage.world.plant("host1", "pause", fault)

    failed = stage.operate(server.uuid, "pause")

    assert (states.Vm.ACTIVE, states.Power.RUNNING) == (failed.vm_state, failed.power_state)
    assert failed.fault_message
    assert failed.fault_message == stage.actions(server.uuid)[0].message
    assert states.Vm.PAUSED == stage.operate(server.uuid, "pause").vm_state


def test_reboot_that_did_not_stop_the_guest_is_no_new_run(stage):
    """The record keeps the token of the run that goes on; the next reboot gives another."""
    server = stage.boot()
    stage.world.plant("host1", "power_off", BROKEN)

    failed = stage.operate(server.uuid, "reboot_hard")
    assert (server.run_token, states.Vm.ACTIVE) == (failed.run_token, failed.vm_state)

    rebooted = stage.operate(server.uuid, "reboot_hard")
    assert server.run_token != rebooted.run_token == guest(stage, rebooted).run_token


def test_reboot_that_fails_half_way_is_recorded_as_seen(stage):
    """The guest was stopped and did not start: it is stopped, and can be started."""
    server = stage.boot()
    stage.world.plant("host1", "power_on", BROKEN)

    failed = stage.operate(server.uuid, "reboot_soft")

    assert (states.Vm.STOPPED, "hypervisor_error") == (failed.vm_state, failed.fault_code)
    assert states.Vm.ACTIVE == stage.operate(server.uuid, "start").vm_state


def test_server_without_room_is_in_error_with_the_reason(stage):
    """No claim stays, and it can be deleted but not started."""
    made = stage.create(20000, requested_host=None)

    server = stage.idle(made.uuid)

    assert (states.Vm.ERROR, "no_valid_host", None) == (
        server.vm_state,
        server.fault_code,
        server.host,
    )
    for host in stages.HOSTS:
        assert f"{host}: RamFilter: needs 20000 MB, 15872 MB free of 15872" in server.fault_message
    assert {} == stage.held(server.uuid)
    with pytest.raises(errors.WrongState, match="vm_state error"):
        stage.conductor.operate(context.admin(), server.uuid, "reboot_hard")


@pytest.mark.parametrize("fault", [BROKEN, ZeroDivisionError("planted")])
def test_failed_build_leaves_nothing(stage, fault):
    """Neither guest nor file nor claim, and the reason in the row."""
    stage.world.plant("host1", "build", fault)

    server = stage.idle(stage.create().uuid)

    assert states.Vm.ERROR == server.vm_state
    assert server.fault_message
    assert {} == stage.held(server.uuid)
    assert set() == stage.world.host("host1").files
    with pytest.raises(errors.WrongState, match="vm_state error"):
        stage.conductor.operate(context.admin(), server.uuid, "reboot_hard")


@pytest.mark.parametrize("host", ["host9", "host2"])
def test_unsuitable_requested_host_is_refused(stage, host):
    """An unknown and a silent host: no server is written."""
    stage.mark("host2", forced_down=True)

    with pytest.raises(errors.HostUnsuitable, match=host):
        stage.create(requested_host=host)

    assert [] == stage.servers()


def test_delete_frees_claims_and_addresses(stage):
    """All is gone but the record; the address is given out again."""
    network = stage.conductor.create_network(context.admin(), factories.network())
    first = stage.boot(networks=[network.id])
    address = first.ports[0].address

    gone = stage.operate(first.uuid, "delete")
    second = stage.boot(networks=[network.id])

    assert (states.Vm.DELETED, []) == (gone.vm_state, gone.ports)
    assert gone.terminated_at is not None
    assert {} == stage.held(first.uuid)
    assert [] == stage.world.running(first.uuid)
    assert address == second.ports[0].address
    with pytest.raises(errors.ServerNotFound):
        stage.conductor.operate(context.admin(), first.uuid, "delete")
    stage.operate(second.uuid, "delete")
    stage.conductor.delete_network(context.admin(), network.id)


def test_no_address_leaves_no_server(stage):
    """The fifth server of a network of four addresses is refused whole."""
    network = stage.conductor.create_network(context.admin(), factories.network())
    four = [stage.create(networks=[network.id]) for _ in range(4)]

    with pytest.raises(errors.NoAddress, match="tenant"):
        stage.create(networks=[network.id])

    assert 4 == len(stage.servers())
    for server in four:
        stage.idle(server.uuid)
        stage.operate(server.uuid, "delete")
    stage.conductor.delete_network(context.admin(), network.id)


def test_failed_delete_can_be_repeated(stage):
    """The claim stays as long as the guest may be there."""
    server = stage.boot()
    stage.world.plant("host1", "destroy", BROKEN)

    failed = stage.operate(server.uuid, "delete")
    assert (states.Vm.ACTIVE, "hypervisor_error") == (failed.vm_state, failed.fault_code)
    assert {"host1"} == stage.held(server.uuid).keys()

    assert states.Vm.DELETED == stage.operate(server.uuid, "delete").vm_state


def test_delete_asked_twice_ends_once(stage):
    """The second while the first goes on: both are answered by the one end."""
    server = stage.boot()
    held = stage.world.hold("host1", "destroy")
    stage.conductor.operate(context.admin(), server.uuid, "delete")
    held.begun.wait(stages.PATIENCE)

    stage.conductor.operate(context.admin(), server.uuid, "delete")
    held.go.set()

    assert states.Vm.DELETED == stage.idle(server.uuid).vm_state
    assert [] == stage.world.running(server.uuid)


def test_repeated_build_changes_nothing(stage):
    """While it goes on, when it is done, and after the server is gone."""
    held = stage.world.hold("host1", "build")
    made = stage.create()
    held.begun.wait(stages.PATIENCE)
    building = stage.server(made.uuid)
    repeat = lambda: stage.compute("host1").build_server(context.admin(), building)  # noqa: E731 - said three times below

    repeat()
    held.go.set()
    server = stage.idle(made.uuid)
    repeat()
    later = stage.operate(server.uuid, "pause")
    assert server.run_token == guest(stage, later).run_token
    stage.operate(server.uuid, "delete")
    repeat()
    stage.boot()

    assert [] == stage.world.running(server.uuid)


def test_repeated_build_after_a_move_makes_no_second_copy(stage):
    """The first host remembers that it has done that."""
    server = stage.boot()
    built = server.replace(generation=server.generation - 1)
    stage.ended(stage.migrate(server.uuid, "host2"))

    stage.compute("host1").build_server(context.admin(), built)
    stage.boot()

    assert ["host2"] == stage.world.running(server.uuid)


def test_repeated_operation_changes_nothing(stage):
    """A stop that comes again after the start leaves the guest running."""
    server = stage.boot()
    stop = sent(server, task_state=states.Task.POWERING_OFF)
    stage.operate(server.uuid, "stop")
    started = stage.operate(server.uuid, "start")

    stage.compute("host1").operate(context.admin(), stop, "stop")
    stage.boot()

    assert started == stage.server(server.uuid)
    assert ["host1"] == stage.world.running(server.uuid)


def test_repeated_reboot_reboots_once(stage):
    """The same message twice is one reboot."""
    server = stage.boot()
    reboot = sent(server, task_state=states.Task.REBOOTING)
    stage.operate(server.uuid, "reboot_soft")
    before = guest(stage, server)

    stage.compute("host1").operate(context.admin(), reboot, "reboot_soft")
    stage.boot()

    assert before is guest(stage, server)


def test_late_report_changes_nothing(stage):
    """The end of an operation that was over long ago."""
    server = stage.boot()
    stopped = stage.operate(server.uuid, "stop")

    for operation, generation in (("stop", stopped.generation - 1), ("build", 1)):
        stage.conductor.operation_ended(
            context.admin(),
            server.uuid,
            "host1",
            operation,
            generation=generation,
            error_code="hypervisor_error",
            error_message="late",
            power_state=int(states.Power.RUNNING),
        )

    assert stopped == stage.server(server.uuid)


def test_words_and_metadata_change_in_any_state(stage):
    """They are no state: the generation stays."""
    server = stage.boot()

    stage.conductor.update_server(context.admin(), server.uuid, {"name": "tern"})
    metadata = stage.conductor.replace_metadata(context.admin(), server.uuid, {"a": "b"})

    now = stage.server(server.uuid)
    assert ("tern", {"a": "b"}, server.generation) == (now.name, metadata, now.generation)
    with pytest.raises(errors.Invalid, match="host"):
        stage.conductor.update_server(context.admin(), server.uuid, {"host": "host2"})


def test_flavor_is_kept_as_it_was(stage):
    """A server has its own copy: the flavor may go."""
    flavor = stage.conductor.create_flavor(
        context.admin(), objects.Flavor(id="f", name="f", vcpus=1, memory_mb=64, root_gb=1)
    )
    server = stage.boot(flavor=flavor)

    stage.conductor.delete_flavor(context.admin(), flavor.id)

    assert 64 == stage.server(server.uuid).flavor.memory_mb

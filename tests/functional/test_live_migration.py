"""A live migration over local disks: where it goes, what stops it, what is left."""

import pytest

from common import context
from common import errors
from common import states
from tests import invariants
from tests import stage as stages
from tests import waiting

STEPS = [
    ("select_destinations", "controller"),
    ("check_can_live_migrate_destination", "host2"),
    ("check_can_live_migrate_source", "host1"),
    ("pre_live_migration", "host2"),
    ("migrate", "host1"),
    ("post_live_migration_at_destination", "host2"),
    ("leave_source", "host1"),
]
BROKEN = errors.HypervisorError("the hypervisor says no")


def names(steps):
    return [(step.step, step.host) for step in steps]


def stayed(stage, server, ticks):
    """Tell whether the guest is where it was and counted on."""
    now = stage.idle(server.uuid)
    return (server.host, server.vm_state) == (now.host, now.vm_state) and (
        ticks <= stage.world.ticks(server.uuid)
    )


def test_guest_arrives_with_its_memory(stage):
    """The ticks count on, and the record, the claims and the hypervisor agree."""
    server = stage.boot()
    waiting.until(lambda: stage.world.ticks(server.uuid) > 1, "the guest has counted")
    ticks = stage.world.ticks(server.uuid)

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert (states.Move.COMPLETED, "host2") == (move.status, move.destination)
    assert "host2" == stage.server(server.uuid).host
    assert ["host2"] == stage.world.running(server.uuid)
    assert ticks <= stage.world.ticks(server.uuid)
    assert (["host2"], {}) == (list(stage.held(server.uuid)), stage.held(move.uuid))
    assert move.downtime_ms is not None
    assert move.job_ms is not None


def test_journal_is_whole_and_ordered(stage):
    """Each step is there once, well ended, and no step begins before the one before."""
    server = stage.boot()

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    steps = stage.steps(move.uuid)
    assert STEPS == names(steps)
    assert {states.StepState.DONE} == {step.state for step in steps}
    begins = [step.started_at for step in steps]
    assert begins == sorted(begins)
    assert all(step.started_at <= step.finished_at for step in steps)


def test_action_has_its_events(stage):
    """The user's view of the move: begun, ended, and every step with its result."""
    server = stage.boot()
    request = context.admin()

    stage.ended(stage.migrate(server.uuid, "host2", request=request))

    action = stage.action(server.uuid, request.request_id)
    assert ("live-migration", None) == (action.action, action.message)
    assert action.started_at < action.finished_at
    events = [event for event in action.events if not stages.decided(event.event)]
    assert STEPS == [(event.event, event.host) for event in events]
    assert {"Success"} == {event.result for event in action.events}


def test_scheduler_chooses_when_no_host_is_named(stage):
    """The emptier of the others takes the guest."""
    stage.boot(stages.LARGE, requested_host="host2")
    server = stage.boot()

    stage.ended(stage.migrate(server.uuid))

    assert "host3" == stage.server(server.uuid).host


@pytest.mark.parametrize(
    ("host", "why"),
    [("host1", "is on host1 already"), ("host9", "no host is named host9"), ("host2", "forced")],
)
def test_unsuitable_destination_is_refused_at_once(stage, host, why):
    """The source, an unknown and a silent host: nothing is written."""
    server = stage.boot()
    stage.mark("host2", forced_down=True)

    with pytest.raises(errors.HostUnsuitable, match=why):
        stage.migrate(server.uuid, host)

    assert server == stage.server(server.uuid)
    assert [] == [move for move in stage.moves() if move.instance_uuid == server.uuid]
    assert 1 == len(stage.actions(server.uuid))


def test_source_that_is_down_is_refused_at_once(stage):
    """Nobody could drive the move."""
    server = stage.boot()
    stage.mark("host1", forced_down=True)

    with pytest.raises(errors.HostUnsuitable, match="host1"):
        stage.migrate(server.uuid)

    assert server == stage.server(server.uuid)


def test_no_valid_host_gives_each_reason_with_numbers(stage):
    """The caller that waits, the row and the action have the same list."""
    server = stage.boot(8000)
    stage.boot(10000, requested_host="host2")
    stage.mark("host3", disabled=True)
    request = context.admin()

    with pytest.raises(errors.NoValidHost) as refused:
        stage.migrate(server.uuid, request=request)

    reasons = refused.value.facts["reasons"]
    assert isinstance(reasons, dict)
    assert reasons["host2"] == [
        {"filter": "RamFilter", "reason": "needs 8000 MB, 5872 MB free of 15872"}
    ]
    assert "ComputeFilter" == reasons["host3"][0]["filter"]
    (move,) = [move for move in stage.moves() if move.instance_uuid == server.uuid]
    assert ("failed", "no_valid_host") == (move.status, move.error_code)
    assert "host2: RamFilter: needs 8000 MB, 5872 MB free of 15872" in move.error_message
    assert ("select_destinations", "controller") == (move.failed_step, move.failed_host)
    assert move.error_message == stage.action(server.uuid, request.request_id).message


def test_refusal_after_the_answer_is_in_the_row(stage):
    """Who does not wait finds the same sentence there."""
    server = stage.boot(10000)
    stage.boot(10000, requested_host="host2")

    move = stage.ended(stage.migrate(server.uuid, "host2", wait=False))

    assert ("failed", "no_valid_host") == (move.status, move.error_code)
    assert "needs 10000 MB, 5872 MB free of 15872" in move.error_message


@pytest.mark.parametrize("block", [True, None])
def test_local_disks_are_copied(stage, block):
    """True and auto both mean block migration here."""
    server = stage.boot()

    move = stage.ended(stage.migrate(server.uuid, "host2", block_migration=block))

    assert (states.Move.COMPLETED, True) == (move.status, move.data.block_migration)


def test_local_disks_refuse_block_migration_false(stage):
    """The test file was not seen, so the storage is not shared."""
    server = stage.boot()

    with pytest.raises(errors.StorageMismatch, match=r"host2.*do not share.*true or auto"):
        stage.migrate(server.uuid, "host2", block_migration=False)

    assert "host1" == stage.server(server.uuid).host


@pytest.mark.parametrize("wrong", ["check_destination", "check_source"])
def test_failed_check_leads_to_the_next_host(stage, wrong):
    """The refusal of the first is kept, its claim and test file are gone."""
    stage.boot(stages.LARGE, requested_host="host3")
    server = stage.boot()
    host = "host2" if wrong == "check_destination" else "host1"
    stage.world.plant(host, wrong, errors.IncompatibleCpu("no such processor"))

    move = stage.ended(stage.migrate(server.uuid))

    assert (states.Move.COMPLETED, "host3") == (move.status, move.destination)
    failed = [step for step in stage.steps(move.uuid) if step.state == states.StepState.FAILED]
    assert [(f"check_can_live_migrate_{wrong[6:]}", "incompatible_cpu", 1)] == [
        (step.step, step.error_code, step.attempt) for step in failed
    ]


def test_failed_check_of_a_named_host_is_the_answer(stage):
    """No other host is tried, and the sentence names the host."""
    server = stage.boot()
    stage.world.plant("host2", "check_destination", errors.IncompatibleCpu("no such processor"))

    with pytest.raises(errors.IncompatibleCpu, match="host2: no such processor"):
        stage.migrate(server.uuid, "host2")

    (move,) = [move for move in stage.moves() if move.instance_uuid == server.uuid]
    assert ("failed", "host2") == (move.status, move.failed_host)


def test_checks_that_fail_everywhere_are_all_told(stage):
    """Scheduler's and hosts' reasons stand in one list."""
    server = stage.boot()
    for host in ("host2", "host3"):
        stage.world.plant(host, "check_destination", errors.IncompatibleCpu(f"{host} is old"))

    told = r"host2: incompatible_cpu: host2 is old; host3: incompatible_cpu: host3 is old"
    with pytest.raises(errors.NoValidHost, match=told):
        stage.migrate(server.uuid)


@pytest.mark.parametrize(
    "fault", [BROKEN, errors.NoDiskSpace("1 GiB free, 2 needed"), ZeroDivisionError("planted")]
)
def test_failed_preparation_leaves_the_guest(stage, fault):
    """Nothing is left at the destination, and the reason is kept."""
    server = stage.boot()
    ticks = stage.world.ticks(server.uuid)
    stage.world.plant("host2", "prepare", fault)

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert (states.Move.FAILED, "pre_live_migration", "host2") == (
        move.status,
        move.failed_step,
        move.failed_host,
    )
    assert stayed(stage, server, ticks)
    told = stage.server(server.uuid)
    assert (move.error_code, move.error_message) == (told.fault_code, told.fault_message)


def test_fault_names_who_refused_which_host(stage):
    """The reasons of a move that found no host are its server's, too."""
    server = stage.boot()
    for host in ("host2", "host3"):
        stage.mark(host, disabled=True)

    move = stage.ended(stage.migrate(server.uuid, wait=False))

    told = stage.server(server.uuid)
    assert ["ComputeFilter"] == [one["filter"] for one in told.fault_reasons["host2"]]
    assert move.reasons == told.fault_reasons
    assert ("no_valid_host", states.Vm.ACTIVE) == (told.fault_code, told.vm_state)


def test_files_of_others_at_the_destination_stay(stage):
    """What this move did not make it does not remove, even if it came after the checks."""
    server = stage.boot()
    folder = f"instances/{server.uuid}"
    held = stage.world.hold("host2", "prepare")
    begun = stage.migrate(server.uuid, "host2")
    assert held.begun.wait(stages.PATIENCE)
    stage.world.host("host2").files.add(folder)
    held.go.set()

    move = stage.ended(begun)

    assert (states.Move.FAILED, "disk_exists") == (move.status, move.error_code)
    assert folder in stage.world.host("host2").files
    stage.world.host("host2").files.remove(folder)


def test_failed_job_leaves_the_guest(stage):
    """The hypervisor gave up: the destination is cleaned, the guest never noticed."""
    server = stage.boot()
    ticks = stage.world.ticks(server.uuid)
    stage.world.plant("host1", "migrate", BROKEN)

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert ("failed", "migrate", "host1", "move_failed") == (
        move.status,
        move.failed_step,
        move.failed_host,
        move.error_code,
    )
    assert "the hypervisor says no" in move.error_message
    assert "rollback_live_migration_at_destination" == stage.steps(move.uuid)[-1].step
    assert stayed(stage, server, ticks)


def test_driver_that_breaks_ends_the_move(stage):
    """A fault that nobody foresaw cannot leave a move that never ends."""
    server = stage.boot()
    stage.world.plant("host1", "migrate", ZeroDivisionError("planted"))

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert (states.Move.ERROR, "remote_error") == (move.status, move.error_code)
    assert "kill neither" in move.error_message
    assert ["host1"] == stage.world.running(server.uuid)


def test_guest_not_seen_at_the_destination_needs_a_person(stage):
    """Both hosts stay claimed, nothing is removed, and the server is not in error."""
    server = stage.boot()
    stage.world.plant("host2", "finish", errors.GuestNotFound("host2 has no guest"))

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert (states.Move.ERROR, "guest_not_found") == (move.status, move.error_code)
    assert states.Vm.ACTIVE == stage.idle(server.uuid).vm_state
    assert {"host2"} == stage.held(server.uuid).keys()
    assert {"host1"} == stage.held(move.uuid).keys()
    assert f"instances/{server.uuid}" in stage.world.host("host1").files
    stage.operate(server.uuid, "delete")
    stage.world.host("host2").guests.clear()
    stage.world.host("host2").files.clear()


@pytest.mark.parametrize("fault", [errors.NoAnswer("host2 did not answer"), BROKEN])
def test_destination_that_is_away_is_asked_again(stage, fault):
    """The guest is there already: a daemon that restarts must not call for a person."""
    server = stage.boot()
    stage.world.plant("host2", "finish", fault)

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert states.Move.COMPLETED == move.status


def test_poll_that_fails_does_not_end_the_move(stage):
    """Only the job's own end decides."""
    server = stage.boot(1000)
    stage.world.plant("host1", "job", errors.HypervisorError("the connection was lost"))

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert states.Move.COMPLETED == move.status


def test_paused_guest_stays_paused(stage):
    """It arrives as it left, and goes on where it was."""
    server = stage.boot()
    stage.operate(server.uuid, "pause")
    ticks = stage.world.ticks(server.uuid)

    stage.ended(stage.migrate(server.uuid, "host2"))

    now = stage.idle(server.uuid)
    assert ("paused", "host2", ticks) == (now.vm_state, now.host, stage.world.ticks(server.uuid))
    assert states.Vm.ACTIVE == stage.operate(server.uuid, "unpause").vm_state


def test_guest_goes_there_and_back(stage):
    """A host that was left can be entered again."""
    server = stage.boot()

    there = stage.ended(stage.migrate(server.uuid, "host2"))
    back = stage.ended(stage.migrate(server.uuid, "host1"))

    assert ["completed", "completed"] == [there.status, back.status]
    assert "host1" == stage.server(server.uuid).host


def test_server_that_does_not_run_cannot_move_live(stage):
    """The refusal names the state."""
    server = stage.boot()
    stage.operate(server.uuid, "stop")

    with pytest.raises(errors.WrongState, match="vm_state stopped"):
        stage.migrate(server.uuid, "host2")


def test_progress_never_goes_back(stage):
    """I9: the row's percent rises while the move runs."""
    server = stage.boot(1200)

    with invariants.Watch(stage) as watch:
        move = stage.migrate(server.uuid, "host2")
        stage.ended(move)

    percents = watch.percents[move]
    assert percents
    assert sorted(percents) == percents

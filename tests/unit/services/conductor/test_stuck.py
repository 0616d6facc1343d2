"""A move that goes on and on, because its source was forced down, is taken by a resolution."""

import datetime

import pytest

from common import context
from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from services.conductor import queue
from tests import factories

RUNS = {"power_state": states.Power.RUNNING, "run_token": "run"}


@pytest.fixture
def make(stage):
    """Write a move from host1 to host2 with all that it holds; its source owns it."""

    def write(**values):
        server = stage.server(task_state=states.Task.MIGRATING)
        given = {
            "type": states.Kind.LIVE,
            "status": states.Move.RUNNING,
            "lease_until": stage.clock.now() + datetime.timedelta(seconds=60),
            **values,
        }
        with stage.deps.database.write() as tx:
            made = moves.create(
                tx,
                factories.migration(
                    instance_uuid=server.uuid,
                    source="host1",
                    destination="host2",
                    owner="host1",
                    **given,
                ),
            )
            journal.step(
                tx,
                objects.MigrationStep(
                    migration_uuid=made.uuid,
                    step="migrate",
                    host="host1",
                    started_at=stage.clock.now(),
                ),
            )
            claims.transfer(tx, "host1", server.uuid, made.uuid)
            claims.claim(tx, "host2", server.uuid, claims.amounts(server.flavor))
        return made

    return write


@pytest.fixture
def move(stage, make):
    """Give a running move whose source was forced down and has been silent for a lease."""
    made = make()
    silent(stage)
    return made


def silent(stage):
    """Let a lease run out after host1 was forced down; the others report."""
    stage.force_down("host1")
    stage.clock.advance(120)
    for host in ("host2", "host3"):
        stage.host(host)


def sees(stage, host, **values):
    stage.everybody.answers[host, "observe_guest"] = objects.GuestSeen(host=host, **values)


def resolve(stage, move):
    return stage.manager.resolve_move(context.admin(), move.instance_uuid, move.uuid)


def row(stage, move):
    """Give the move as it is now."""
    with stage.deps.database.read() as tx:
        return moves.get(tx, move.uuid)


def asked(stage):
    return [(whom, method) for whom, method, _ in stage.everybody.asked]


@pytest.mark.parametrize("status", sorted(states.IN_SLOT))
def test_guest_at_the_destination_is_recorded_there(stage, make, status):
    """The move ends, nothing is held twice, and its source is not asked."""
    move = make(status=status)
    silent(stage)
    sees(stage, "host2", **RUNS)
    arrived = objects.Arrival(power_state=states.Power.RUNNING)
    stage.everybody.answers["host2", "post_live_migration_at_destination"] = arrived

    found = resolve(stage, move)

    server, ended = stage.read(move.instance_uuid), row(stage, move)
    assert ("completed", "host2") == (found.outcome, found.host)
    assert ("host2", None, states.Vm.ACTIVE) == (server.host, server.task_state, server.vm_state)
    assert (["host2"], []) == (stage.held(server.uuid), stage.held(move.uuid))
    assert (states.Move.ERROR, "migrate", "host1") == (
        ended.status,
        ended.failed_step,
        ended.failed_host,
    )
    assert {"host2"} == {whom for whom, _ in asked(stage)}


def test_guest_that_is_nowhere_can_be_deleted_then(stage, move):
    """Nothing is decided, but the server is held no more by a move that cannot end."""
    sees(stage, "host2")

    with pytest.raises(errors.Unresolved, match=r"neither host runs it.*host1 was not asked"):
        resolve(stage, move)

    server = stage.read(move.instance_uuid)
    assert (states.Move.ERROR, None) == (row(stage, move).status, server.task_state)
    assert (["host2"], ["host1"]) == (stage.held(server.uuid), stage.held(move.uuid))
    stage.manager.operate(context.admin(), server.uuid, "delete")
    assert states.Vm.DELETED == stage.read(server.uuid).vm_state


def test_memory_that_has_not_all_arrived_decides_nothing(stage, move):
    """The destination's half of a post-copy looks like a running guest."""
    sees(stage, "host2", job=True, **RUNS)

    with pytest.raises(errors.Unresolved, match="its memory has not all arrived"):
        resolve(stage, move)

    assert "host1" == stage.read(move.instance_uuid).host
    assert ["host1"] == stage.held(move.uuid)


def test_steps_that_nobody_reports_on_are_ended(stage, move):
    """The journal says why."""
    sees(stage, "host2")
    with pytest.raises(errors.Unresolved):
        resolve(stage, move)

    with stage.deps.database.read() as tx:
        step = journal.steps(tx, move.uuid)[0]
    assert ("migrate", states.StepState.FAILED) == (step.step, step.state)
    assert str(step.error).startswith("host1, which drove this move, is forced down")


def test_silent_destination_changes_nothing(stage, move):
    """It may have the guest: the move stays, and can be resolved when it answers."""

    def refuse(_instance):
        raise errors.NoAnswer("host2 did not answer")

    stage.everybody.answers["host2", "observe_guest"] = refuse

    with pytest.raises(errors.Unresolved, match="host2 cannot be asked"):
        resolve(stage, move)

    assert states.Move.RUNNING == row(stage, move).status
    assert states.Task.MIGRATING == stage.read(move.instance_uuid).task_state


def test_source_that_reports_after_all_is_too_late(stage, move):
    """What it says of the move that was ended changes nothing."""
    sees(stage, "host2")
    with pytest.raises(errors.Unresolved):
        resolve(stage, move)
    before = row(stage, move)
    told = objects.MoveReport(
        migration_uuid=move.uuid,
        generation=move.generation,
        status=states.Move.COMPLETED,
        expected=sorted(states.IN_SLOT),
        host="host1",
    )

    with pytest.raises(errors.StaleWrite):
        stage.manager.move_report(context.admin(), told, [])

    assert before == row(stage, move)


@pytest.mark.parametrize(
    ("values", "wait"),
    [
        ({"status": states.Move.QUEUED}, "wait, or abort it"),
        ({"status": states.Move.RUNNING}, r"host1 drives it.*whimbrel service force-down host1\)"),
        ({"type": states.Kind.RESIZE, "status": states.Move.MIGRATING}, "wait for its end"),
        ({"type": states.Kind.COLD, "status": states.Move.FINISHED}, "confirm or revert it"),
        ({"status": states.Move.COMPLETED}, "only a live migration that ended in error"),
    ],
)
def test_what_need_not_be_resolved_says_what_to_wait_for(stage, make, values, wait):
    """While every host is up."""
    move = make(**values)
    stage.clock.advance(120)

    with pytest.raises(errors.WrongState, match=wait):
        resolve(stage, move)

    assert move.status == row(stage, move).status
    assert [] == asked(stage)


def test_source_that_was_heard_of_is_waited_for(stage, make):
    """Progress is a sign of life, although its service is said to be down."""
    move = make()
    silent(stage)
    told = objects.MigrationProgress(migration_uuid=move.uuid, generation=move.generation)
    stage.manager.move_progress(context.admin(), "host1", [told], [], [])

    with pytest.raises(errors.WrongState, match=r"resolve again in 60 s"):
        resolve(stage, move)

    assert states.Move.RUNNING == row(stage, move).status


def test_source_that_was_forced_down_is_not_told_again(stage, move):
    """Its lease stays run out; once it is said to be up the move is its own again."""
    queue.tick(stage.deps)
    silence = asked(stage), row(stage, move).lease_until

    stage.lift("host1")
    queue.tick(stage.deps)

    assert ([], move.lease_until) == silence
    assert [("host1", "live_migration")] == asked(stage)
    assert row(stage, move).lease_until > stage.clock.now()

"""Moves that wait in line, are aborted, repeated, or lost their conductor."""

import datetime

import pytest

from common import clock
from common import context
from common import errors
from common import ids
from common import objects
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import servers
from tests import factories
from tests import invariants
from tests import stage as stages
from tests import waiting

MIDDLE = 250  # MiB: a move of a quarter of a second


@pytest.fixture
def held_preparation(stage):
    """Keep the destination from being ready until set."""
    held = stage.world.hold("host2", "prepare")
    yield held.go
    held.go.set()


@pytest.fixture
def held_finish(stage):
    """Keep the destination from taking the guest over until set."""
    held = stage.world.hold("host2", "finish")
    yield held.go
    held.go.set()


@pytest.fixture
def held_check(stage):
    """Keep the destination's check from ending until set."""
    held = stage.world.hold("host2", "check_destination")
    yield held
    held.go.set()


def abort(stage, server, move):
    stage.conductor.abort_migration(context.admin(), server.uuid, move)


def begin(stage, server, status, destination=None, **values):
    """Write a move as a conductor leaves it that dies at this point; its lease has run out."""
    request = context.admin()
    now = clock.SystemClock().now()
    with stage.database.write() as tx:
        servers.change(tx, server.uuid, task_state=states.Task.MIGRATING)
        move = moves.create(
            tx,
            factories.migration(
                instance_uuid=server.uuid,
                status=status,
                destination=destination,
                request_id=request.request_id,
                owner="another",
                lease_until=now - datetime.timedelta(seconds=1),
                **values,
            ),
        )
        claims.transfer(tx, "host1", server.uuid, move.uuid)
        claims.claim(tx, "host2", server.uuid, claims.amounts(server.flavor))
        journal.start(tx, factories.action(server.uuid, request_id=request.request_id))
    return move


def test_limits_hold_at_every_instant(stage):
    """Six moves off one host: two at a time, in the order in which they were asked for."""
    guests = [stage.boot(MIDDLE) for _ in range(6)]
    first = stage.world.hold("host2", "finish")

    with invariants.Watch(stage) as watch:
        begun = [stage.migrate(guest.uuid, "host2") for guest in guests]
        waiting.until(lambda: 2 == watch.most_in["host2"], "two go on at once")
        first.go.set()
        ended = [stage.ended(move) for move in begun]

    assert {states.Move.COMPLETED} == {move.status for move in ended}
    assert (2, 2) == (watch.most_out["host1"], watch.most_in["host2"])
    assert begun == watch.order


def test_inbound_limit_counts_all_sources(stage):
    """Two hosts empty themselves into a third: never more than two enter it."""
    guests = [stage.boot(MIDDLE, requested_host=host) for host in ("host1", "host2") * 2]
    first = stage.world.hold("host3", "finish")

    with invariants.Watch(stage) as watch:
        begun = [stage.migrate(guest.uuid, "host3") for guest in guests]
        waiting.until(lambda: 2 == watch.most_in["host3"], "two go on at once")
        first.go.set()
        ended = [stage.ended(move) for move in begun]

    assert {states.Move.COMPLETED} == {move.status for move in ended}
    assert 2 == watch.most_in["host3"]


def test_waiting_move_does_not_hold_up_others(stage):
    """A move between free hosts starts although older ones wait."""
    slow = [stage.boot(stages.LARGE) for _ in range(3)]
    free = stage.boot(requested_host="host2")
    begun = [stage.migrate(guest.uuid, "host2") for guest in slow]

    passing = stage.ended(stage.migrate(free.uuid, "host3"))

    assert states.Move.COMPLETED == passing.status
    assert states.Move.QUEUED == stage.move(begun[2]).status
    for guest, move in reversed(list(zip(slow, begun, strict=True))):
        abort(stage, guest, move)
    assert {states.Move.CANCELLED} == {stage.ended(move).status for move in begun}


def test_queued_move_is_cancelled(stage):
    """It never starts, and its claim goes back; those that run go on."""
    guests = [stage.boot(size) for size in (stages.LARGE, stages.LARGE, stages.SMALL)]
    begun = [stage.migrate(guest.uuid, "host2") for guest in guests]
    assert states.Move.QUEUED == stage.move(begun[2]).status

    abort(stage, guests[2], begun[2])

    waiting = stage.ended(begun[2])
    assert (states.Move.CANCELLED, "move_aborted") == (waiting.status, waiting.error_code)
    assert {"host1"} == stage.held(guests[2].uuid).keys()
    assert {"completed"} == {stage.ended(move).status for move in begun[:2]}


def test_running_move_is_aborted(stage):
    """The job stops, the destination is cleaned, the guest counts on."""
    guest = stage.boot(stages.LARGE)
    ticks = stage.world.ticks(guest.uuid)
    move = stage.migrate(guest.uuid, "host2")
    stage.reached(move, states.Move.RUNNING)

    abort(stage, guest, move)

    ended = stage.ended(move)
    assert (states.Move.CANCELLED, "aborted by a user") == (ended.status, ended.error_message)
    assert ticks <= stage.world.ticks(guest.uuid)
    assert ["host1"] == stage.world.running(guest.uuid)


def test_server_moves_once_at_a_time(stage):
    """A second move, or any operation, is refused with the task."""
    server = stage.boot(stages.LARGE)
    move = stage.migrate(server.uuid, "host2")

    with pytest.raises(errors.WrongState, match="task_state migrating"):
        stage.migrate(server.uuid, "host3")
    with pytest.raises(errors.WrongState, match="task_state migrating"):
        stage.conductor.operate(context.admin(), server.uuid, "stop")

    stage.reached(move, states.Move.RUNNING)
    stage.conductor.abort_migration(context.admin(), server.uuid, move)
    stage.ended(move)


def test_preparing_move_is_aborted(stage, held_preparation):
    """It does not begin once the destination is ready."""
    guest = stage.boot(stages.LARGE)
    move = stage.migrate(guest.uuid, "host2")
    stage.reached(move, states.Move.PREPARING)

    abort(stage, guest, move)
    held_preparation.set()

    assert states.Move.CANCELLED == stage.ended(move).status
    assert "migrate" not in [
        step.step for step in stage.steps(move) if step.state == states.StepState.DONE
    ]


def test_move_whose_guest_has_left_cannot_be_aborted(stage, held_finish):
    """The refusal says where the guest is."""
    guest = stage.boot()
    move = stage.migrate(guest.uuid, "host2")
    stage.reached(move, states.Move.POST_MIGRATING)

    with pytest.raises(errors.WrongState, match="post-migrating, and its guest is at host2"):
        abort(stage, guest, move)

    held_finish.set()
    assert states.Move.COMPLETED == stage.ended(move).status


def test_ended_move_cannot_be_aborted(stage):
    """The refusal names the status."""
    guest = stage.boot()
    move = stage.ended(stage.migrate(guest.uuid, "host2")).uuid

    with pytest.raises(errors.WrongState, match="it is completed already"):
        abort(stage, guest, move)


def test_abort_of_nothing_is_refused(stage):
    """Neither an unknown move nor another server's is found."""
    guest, other = stage.boot(), stage.boot()
    move = stage.ended(stage.migrate(other.uuid, "host2")).uuid

    for key in (ids.new(), move):
        with pytest.raises(errors.MigrationNotFound, match=key):
            abort(stage, guest, key)


def test_move_is_aborted_during_its_checks(stage, held_check):
    """Its claim on the host that was being checked goes back."""
    guest = stage.boot()
    stage.mark("host3", disabled=True)
    move = stage.migrate(guest.uuid, "host2", wait=False)
    held_check.begun.wait(stages.PATIENCE)

    abort(stage, guest, move)
    held_check.go.set()

    assert states.Move.CANCELLED == stage.ended(move).status


def test_repeated_start_changes_nothing(stage):
    """Twice while it runs, and once more when all is over."""
    guest = stage.boot(MIDDLE)
    move = stage.migrate(guest.uuid, "host2")
    running = stage.reached(move, states.Move.RUNNING)

    for _ in range(2):
        stage.compute("host1").live_migration(context.admin(), stage.server(guest.uuid), running)
    ended = stage.ended(move)
    stage.compute("host1").live_migration(context.admin(), stage.server(guest.uuid), running)
    with pytest.raises(errors.WrongState):
        stage.compute("host1").abort_live_migration(context.admin(), move)

    assert ended == stage.move(move)
    assert 7 == len(stage.steps(move))


def test_repeated_start_of_a_failed_move_changes_nothing(stage):
    """Nothing is prepared anew at the destination."""
    guest = stage.boot()
    stage.world.plant("host1", "migrate", errors.HypervisorError("no"))
    ended = stage.ended(stage.migrate(guest.uuid, "host2"))

    stage.compute("host1").live_migration(context.admin(), stage.server(guest.uuid), ended)

    assert ended == stage.move(ended.uuid)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (states.Move.RUNNING, [states.Move.PREPARING]),
        (states.Move.FAILED, [states.Move.PREPARING, states.Move.RUNNING]),
    ],
)
def test_late_report_changes_nothing(stage, status, expected):
    """A report of what the move was, or of another end, is refused."""
    guest = stage.boot()
    ended = stage.ended(stage.migrate(guest.uuid, "host2"))
    late = report(ended, status, expected)

    with pytest.raises(errors.StaleWrite, match="completed"):
        stage.conductor.move_report(context.admin(), late)

    assert ended == stage.move(ended.uuid)
    assert 7 == len(stage.steps(ended.uuid))


def test_repeated_end_gives_the_same_answer(stage):
    """Who did not hear the answer asks again."""
    guest = stage.boot()
    ended = stage.ended(stage.migrate(guest.uuid, "host2"))

    again = stage.conductor.move_report(
        context.admin(), report(ended, states.Move.COMPLETED, [states.Move.POST_MIGRATING])
    )

    # Field by field: two whole ones are printed without what differs.
    assert ended.obj_to_primitive() == again.obj_to_primitive()


def test_reports_on_the_way_come_with_the_next(stage):
    """A move whose beginning was never heard ends all the same, and a late word changes nothing."""
    guest = stage.boot()
    ended = stage.ended(stage.migrate(guest.uuid, "host2"))
    late = report(ended, states.Move.RUNNING, [states.Move.PREPARING])

    stage.conductor.move_progress(context.admin(), "host1", [], [], [late])

    assert ended == stage.move(ended.uuid)


def test_late_progress_changes_nothing(stage):
    """A move that is over has the progress that it had."""
    guest = stage.boot()
    ended = stage.ended(stage.migrate(guest.uuid, "host2"))
    late = objects.MigrationProgress(migration_uuid=ended.uuid, percent=7)

    stage.conductor.move_progress(context.admin(), "host1", [late], [], [])
    stage.ended(stage.migrate(guest.uuid, "host1"))

    assert ended.progress == stage.move(ended.uuid).progress


def test_lost_start_is_sent_again(stage):
    """The tick finds a move that should be preparing and is not, and it arrives."""
    guest = stage.boot()
    data = objects.LibvirtLiveMigrateData(
        migration_uuid="",
        is_shared=False,
        block_migration=True,
        destination_address="host2",
    )
    move = begin(stage, guest, states.Move.PREPARING, "host2", data=data, policy=factories.policy())

    assert states.Move.COMPLETED == stage.ended(move.uuid).status
    assert "host2" == stage.server(guest.uuid).host


def test_move_without_its_conductor_is_failed(stage):
    """The claim on the host that it was checking goes back, and the guest is free again."""
    guest = stage.boot()
    move = begin(stage, guest, states.Move.ACCEPTED)

    ended = stage.ended(move.uuid)

    assert (states.Move.FAILED, "another") == (ended.status, ended.failed_host)
    assert {"host1"} == stage.held(guest.uuid).keys()
    assert stage.idle(guest.uuid).host == "host1"


def report(move, status, expected):
    return objects.MoveReport(
        migration_uuid=move.uuid,
        generation=move.generation,
        host="host1",
        expected=expected,
        status=status,
        error_code="move_failed",
        error_message="late",
        steps=[factories.step(move, step="late", host="host1")]
        if status != states.Move.COMPLETED
        else [],
    )

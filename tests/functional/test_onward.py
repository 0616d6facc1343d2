"""A destination that passes the checks and refuses when it is to make ready."""

import pytest

from common import context
from common import errors
from common import states
from tests import factories
from tests import stage as stages

FULL = errors.NoDiskSpace("1 GiB free, 2 needed")
PREPARE = "pre_live_migration"


def refused(stage, move):
    """Give who refused it, from its journal."""
    return [step.host for step in stage.steps(move.uuid) if step.error_code == FULL.code]


def test_an_unnamed_move_goes_on_to_the_next_host(stage):
    """The guest arrives, the refusal is kept, and the first host has nothing of it any more."""
    stage.boot(stages.LARGE, requested_host="host3")
    server = stage.boot()
    stage.world.plant("host2", "prepare", FULL)

    move = stage.ended(stage.migrate(server.uuid))

    assert (states.Move.COMPLETED, "host3", 1) == (move.status, move.destination, move.generation)
    assert [{"filter": FULL.code, "reason": FULL.message}] == move.reasons["host2"]
    assert (None, None) == (move.error_code, move.failed_step)
    assert ["host2"] == refused(stage, move)
    assert ["host3"] == stage.world.running(server.uuid)
    assert (["host3"], {}) == (list(stage.held(server.uuid)), stage.held(move.uuid))
    assert set() == stage.world.host("host2").files


def test_a_named_host_is_never_left_for_another(stage):
    server = stage.boot()
    stage.world.plant("host2", "prepare", FULL)

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert (states.Move.FAILED, FULL.code, "host2", 0) == (
        move.status,
        move.error_code,
        move.failed_host,
        move.generation,
    )
    assert {"host2": [{"filter": FULL.code, "reason": FULL.message}]} == move.reasons
    assert ["host1"] == stage.world.running(server.uuid)


def test_a_move_that_every_host_refuses_stays(stage):
    """It says where it failed first, and what each host said."""
    server = stage.boot()
    for host in ("host2", "host3"):
        stage.world.plant(host, "prepare", FULL)

    move = stage.ended(stage.migrate(server.uuid))

    assert (states.Move.FAILED, "no_valid_host", PREPARE) == (
        move.status,
        move.error_code,
        move.failed_step,
    )
    for host in ("host2", "host3"):
        assert FULL.code == move.reasons[host][0]["filter"]
    assert move.reasons == stage.idle(server.uuid).fault_reasons
    assert ["host1"] == stage.world.running(server.uuid)
    assert (["host1"], {}) == (list(stage.held(server.uuid)), stage.held(move.uuid))


def test_what_is_no_refusal_ends_the_move(stage):
    """Nobody knows what a hypervisor does that failed at it: the next host might fail alike."""
    server = stage.boot()
    for host in ("host2", "host3"):
        stage.world.plant(host, "prepare", errors.HypervisorError("out of order"))

    move = stage.ended(stage.migrate(server.uuid))

    assert (states.Move.FAILED, "hypervisor_error", 0) == (
        move.status,
        move.error_code,
        move.generation,
    )
    assert [move.failed_host] == list(move.reasons)


def test_an_abort_while_a_host_refuses_is_heeded(stage):
    """It is cancelled, and goes on to no other host."""
    stage.boot(stages.LARGE, requested_host="host3")
    server = stage.boot()
    held = stage.world.hold("host2", "prepare")
    begun = stage.migrate(server.uuid)
    assert held.begun.wait(stages.PATIENCE)
    stage.world.plant("host2", "prepare", FULL)
    stage.conductor.abort_migration(context.admin(), server.uuid, begun)
    held.go.set()

    move = stage.ended(begun)

    assert states.Move.CANCELLED == move.status
    assert ["host1"] == stage.world.running(server.uuid)


@pytest.fixture
def west(stage):
    """An aggregate that puts host3 into a zone of its own."""
    made = stage.conductor.create_aggregate(
        context.admin(), factories.aggregate(name="rack", availability_zone="west")
    )
    stage.conductor.add_aggregate_host(context.admin(), made.id, "host3")
    yield
    stage.clear()
    stage.conductor.remove_aggregate_host(context.admin(), made.id, "host3")
    stage.conductor.delete_aggregate(context.admin(), made.id)


@pytest.mark.parametrize(
    ("zone", "status"), [(None, states.Move.FAILED), ("any", states.Move.COMPLETED)]
)
def test_what_was_said_of_zones_holds_for_the_next_host(stage, west, zone, status):
    server = stage.boot()
    stage.boot(stages.LARGE, requested_host="host3")
    stage.world.plant("host2", "prepare", FULL)

    move = stage.ended(stage.migrate(server.uuid, zone=zone))

    assert status == move.status
    assert ["host2"] == refused(stage, move)

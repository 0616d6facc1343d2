"""Whose fault a failure is: what the scheduler's failure weigher will read of each host."""

import pytest
import sqlalchemy as sa

from common import clock
from common import context
from common import errors
from common import states
from common.db import candidates
from common.db import tables
from tests import stage as stages

BROKEN = errors.HypervisorError("the hypervisor says no")


@pytest.fixture
def blamed(stage):
    """Forget what failed before, and give who is blamed for what: {host: failures}."""
    with stage.database.write() as tx:
        for host in stage.hosts:
            candidates.forget_failures(tx, host)

    def blamed() -> dict[str, int]:
        nodes = tables.COMPUTE_NODES.c
        with stage.database.read() as tx:
            found = tx.tuples(sa.select(nodes.host, nodes.failures).where(nodes.failures > 0))
        return {str(host): int(number) for host, number in found}

    return blamed


@pytest.mark.parametrize(("host", "method"), [("host1", "migrate"), ("host2", "prepare")])
def test_a_live_move_blames_the_host_where_it_failed(stage, blamed, host, method):
    server = stage.boot()
    stage.world.plant(host, method, BROKEN)

    assert states.Move.FAILED == stage.ended(stage.migrate(server.uuid, "host2")).status
    assert {host: 1} == blamed()


def test_a_move_that_was_refused_blames_nobody(stage, blamed):
    """A check that says no is no failure."""
    server = stage.boot()
    stage.world.plant("host2", "check_destination", errors.IncompatibleCpu("too old"))

    with pytest.raises(errors.IncompatibleCpu):
        stage.migrate(server.uuid, "host2")

    assert {} == blamed()


@pytest.mark.parametrize(
    ("host", "method"),
    [("host2", "prepare_cold"), ("host1", "copy"), ("host2", "assemble")],
)
def test_a_cold_move_blames_the_host_where_it_failed(stage, blamed, host, method):
    """Once, although the move is undone in several steps."""
    server = stage.boot()
    stage.world.plant(host, method, BROKEN)

    move = stage.ended(stage.relocate(server.uuid, "host2", wait=False))

    assert (states.Move.FAILED, host) == (move.status, move.failed_host)
    assert {host: 1} == blamed()


def test_a_cold_move_that_goes_on_elsewhere_has_failed_at_the_first(stage, blamed):
    stage.boot(stages.LARGE, requested_host="host3")
    server = stage.boot()
    stage.world.plant("host2", "prepare_cold", errors.NoDiskSpace("host2 is full"))

    move = stage.reached(stage.relocate(server.uuid, wait=False), states.Move.FINISHED)

    assert (states.Move.FINISHED, "host3") == (move.status, move.destination)
    assert {"host2": 1} == blamed()
    stage.conductor.confirm_resize(context.admin(), server.uuid)
    stage.ended(move.uuid)


@pytest.mark.parametrize("kind", ["live", "cold", "build"])
def test_what_goes_well_forgets_what_failed_there(stage, blamed, kind):
    server = stage.boot()
    with stage.database.write() as tx:
        candidates.count_failure(tx, "host2", clock.SystemClock().now())

    if kind == "live":
        stage.ended(stage.migrate(server.uuid, "host2"))
    if kind == "cold":
        stage.ended(stage.relocate(server.uuid, "host2", auto_confirm=True))
    if kind == "build":
        stage.boot(requested_host="host2")

    assert {} == blamed()


@pytest.mark.parametrize(
    "fault", [errors.BadImage("the image is not what it was"), errors.Invalid("no such bus")]
)
def test_a_build_that_was_asked_for_wrongly_blames_nobody(stage, blamed, fault):
    """No other host is tried, for each would say the same."""
    for host in stage.hosts:
        stage.world.plant(host, "build", fault)

    server = stage.idle(stage.create(requested_host=None).uuid)

    assert (states.Vm.ERROR, fault.code) == (server.vm_state, server.fault_code)
    assert 1 == len(server.fault_reasons)
    assert {} == blamed()


def test_a_build_that_fails_blames_its_host(stage, blamed):
    stage.world.plant("host1", "build", BROKEN)

    stage.idle(stage.create().uuid)

    assert {"host1": 1} == blamed()

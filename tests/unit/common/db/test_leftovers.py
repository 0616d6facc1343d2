import pytest

from common import states
from common.db import claims
from common.db import hosts
from common.db import leftovers
from common.db import moves
from common.db import servers
from tests import factories

FLAVOR = claims.amounts(factories.flavor())
Move = states.Move


@pytest.fixture
def tx(database):
    """A transaction in which there are three hosts."""
    with database.write() as opened:
        for name in ("host1", "host2", "host3"):
            hosts.report(opened, factories.node(name))
        yield opened


def server(tx, *held: str, **values: object):
    """Write an active server of host1 that holds room on these hosts."""
    given = {"host": "host1", "vm_state": states.Vm.ACTIVE, **values}
    made = servers.create(tx, factories.instance(**given))
    for host in held:
        claims.claim(tx, host, made.uuid, FLAVOR)
    return made


def move(tx, instance, status, *held: str, **values: object):
    given = {"instance_uuid": instance.uuid, "destination": "host2", "status": status, **values}
    made = moves.create(tx, factories.migration(**given))
    for host in held:
        claims.claim(tx, host, made.uuid, FLAVOR)
    return made


def found(tx) -> list[tuple[str, str, str]]:
    return [(one.consumer, one.host, one.why) for one in leftovers.find(tx)]


def test_placement_is_no_leftover(tx):
    server(tx, "host1")

    assert [] == found(tx)


def test_room_elsewhere_of_a_server_that_does_not_move_is_one(tx):
    """A scheduler answered after the move had failed."""
    idle = server(tx, "host1", "host2")
    move(tx, idle, Move.FAILED)

    assert [(idle.uuid, "host2", "the server is active on host1, and is not being moved")] == found(
        tx
    )


@pytest.mark.parametrize("task", [states.Task.SPAWNING, states.Task.MIGRATING])
def test_while_something_is_being_done_nothing_is_one(tx, task):
    """Whoever does it gives back what it does not need."""
    server(tx, "host1", "host2", task_state=task)
    server(tx, "host3", host=None, vm_state=states.Vm.BUILDING, task_state=task)

    assert [] == found(tx)


@pytest.mark.parametrize("status", [Move.QUEUED, Move.RUNNING, Move.FINISHED])
def test_move_that_has_not_ended_keeps_both_hosts(tx, status):
    """Also a resize that waits to be confirmed, when nothing is being done to the server."""
    going = server(tx, "host2")
    move(tx, going, status, "host1")

    assert [] == found(tx)


def test_move_in_error_keeps_both_hosts_until_it_is_resolved(tx):
    """The guest may be on either."""
    lost = server(tx, "host2")
    stuck = move(tx, lost, Move.ERROR, "host1")
    assert [] == found(tx)

    claims.release(tx, stuck.uuid)

    assert [lost.uuid] == [one.consumer for one in leftovers.find(tx)]


@pytest.mark.parametrize("status", [Move.COMPLETED, Move.CONFIRMED, Move.CANCELLED, Move.FAILED])
def test_move_that_has_ended_needs_nothing(tx, status):
    ended = move(tx, server(tx, "host1"), status, "host2")

    assert [(ended.uuid, "host2", f"the migration is {status}")] == found(tx)


def test_server_that_is_gone_needs_nothing(tx):
    """Deleted, failed before it had a host, or never there."""
    deleted = server(tx, "host1")
    servers.change(tx, deleted.uuid, vm_state=states.Vm.DELETED)
    failed = server(tx, "host2", host=None, vm_state=states.Vm.ERROR)
    claims.claim(tx, "host3", "nobody", FLAVOR)

    assert [
        (deleted.uuid, "host1", "the server is deleted"),
        (failed.uuid, "host2", "the server is error on no host, and is not being moved"),
        ("nobody", "host3", "there is no server and no migration of this id"),
    ] == found(tx)


def test_leftover_is_given_back_alone(tx):
    """What the same server holds where it lives stays."""
    idle = server(tx, "host1", "host2")
    (leftover,) = leftovers.find(tx)

    assert leftovers.release(tx, leftover)

    assert {"host1"} == claims.held(tx, idle.uuid).keys()
    assert not leftovers.release(tx, leftover)


def test_what_is_needed_by_now_is_kept(tx):
    """A move has begun since it was found, and goes there."""
    idle = server(tx, "host1", "host2")
    (leftover,) = leftovers.find(tx)
    move(tx, idle, Move.ACCEPTED)

    assert not leftovers.release(tx, leftover)

    assert {"host1", "host2"} == claims.held(tx, idle.uuid).keys()

"""A server that is deleted during a cold move, wherever that is: nothing is left on either host."""

import pytest

from common import context
from common import states
from tests import waiting


def left(stage):
    """Name what any host has of any guest or move."""
    hosts = [stage.world.host(name) for name in stage.hosts]
    return [
        (host.name, thing)
        for host in hosts
        for thing in (*host.guests, *host.files, *host.made, *host.kept)
    ]


@pytest.mark.parametrize(
    ("host", "method"),
    [("host1", "survey"), ("host2", "prepare_cold"), ("host1", "copy"), ("host2", "assemble")],
)
def test_server_deleted_on_its_way_leaves_nothing(stage, host, method):
    """The delete waits for the move's end and then takes everything along."""
    server = stage.boot()
    held = stage.world.hold(host, method)
    uuid = stage.relocate(server.uuid, "host2", wait=False)
    waiting.until(held.begun.is_set, f"{method} has begun")

    stage.conductor.operate(context.admin(), server.uuid, "delete")
    held.go.set()
    waiting.until(lambda: not stage.servers(), "the server is deleted")

    stage.ended(uuid)
    assert [] == left(stage)
    assert {} == stage.everything_held()


def test_resized_server_can_be_deleted(stage):
    """Nothing is left on either host."""
    server = stage.boot()
    move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED)

    stage.conductor.operate(context.admin(), server.uuid, "delete")
    waiting.until(lambda: not stage.servers(), "the server is deleted")

    assert states.Move.CONFIRMED == stage.ended(move.uuid).status
    assert [] == left(stage)
    assert {} == stage.everything_held()


@pytest.mark.parametrize(
    ("decide", "host", "method", "status"),
    [
        ("confirm_resize", "host1", "discard", states.Move.CONFIRMED),
        ("confirm_resize", "host2", "settle", states.Move.CONFIRMED),
        ("revert_resize", "host2", "undo_cold", states.Move.REVERTED),
        ("revert_resize", "host1", "put_back", states.Move.REVERTED),
    ],
)
def test_server_deleted_while_it_is_decided_leaves_nothing(stage, decide, host, method, status):
    """What was decided is done first; nothing is left on either host."""
    server = stage.boot()
    move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED)
    held = stage.world.hold(host, method)
    getattr(stage.conductor, decide)(context.admin(), server.uuid)
    waiting.until(held.begun.is_set, f"{method} has begun")

    stage.conductor.operate(context.admin(), server.uuid, "delete")
    held.go.set()
    waiting.until(lambda: not stage.servers(), "the server is deleted")

    assert status == stage.ended(move.uuid).status
    assert [] == left(stage)
    assert {} == stage.everything_held()

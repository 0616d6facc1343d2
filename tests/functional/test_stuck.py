"""A move whose source was forced down, and was not off after all."""

from collections.abc import Iterator
from typing import Any

import pytest

from common import context
from common import errors
from common import states
from tests import invariants
from tests import stage as stages
from tests import waiting

HASTY: dict[str, Any] = {"conductor.lease": 5}
SLOW = {"bandwidth": "20", "policy": "gentle"}  # minutes for a large guest
LATE = 20  # seconds for a lease to run out


@pytest.fixture
def stage(tmp_path) -> Iterator[stages.Stage]:
    """Hosts whose silence counts soon; every invariant must hold at the end."""
    with stages.running(tmp_path, **HASTY) as stage:
        yield stage
        invariants.hold(stage)
        stage.clear()


def resolve(stage, move):
    return stage.conductor.resolve_move(context.admin(), move.instance_uuid, move.uuid)


def test_source_that_reports_progress_is_at_work(stage):
    """Whatever was said of it: make sure that it is off."""
    server = stage.boot(stages.LARGE)
    begun = stage.migrate(server.uuid, "host2", policy=SLOW)
    move = stage.reached(begun, states.Move.RUNNING)
    with pytest.raises(errors.WrongState, match=r"host1 drives it.*force its service down"):
        resolve(stage, move)
    stage.mark("host1", forced_down=True)

    before = stage.move(move.uuid).lease_until
    waiting.until(lambda: stage.move(move.uuid).lease_until > before, "it is heard of", LATE)
    with pytest.raises(errors.WrongState, match=r"heard of.*make sure that it is off"):
        resolve(stage, move)

    assert states.Move.RUNNING == stage.move(move.uuid).status
    stage.conductor.abort_migration(context.admin(), server.uuid, move.uuid)
    assert states.Move.CANCELLED == stage.ended(move.uuid).status


def test_source_that_is_silent_and_not_off_comes_too_late(stage):
    """The guest that it has handed over is recorded, whatever it reports afterwards."""
    server = stage.boot()
    held = stage.world.hold("host2", "finish")
    move = stage.move(stage.migrate(server.uuid, "host2"))
    waiting.until(held.begun.is_set, "the guest has arrived")
    stage.mark("host1", forced_down=True)

    found = waiting.until(lambda: settled(stage, move), "a lease has run out", LATE)
    held.go.set()
    waiting.until(lambda: not stage.world.host("host1").files, "its source has tidied up")

    assert ("completed", "host2") == (found.outcome, found.host)
    assert (states.Move.ERROR, "host1") == (
        stage.move(move.uuid).status,
        stage.move(move.uuid).failed_host,
    )
    assert "host2" == stage.server(server.uuid).host


def settled(stage, move):
    """Resolve the move, or give None while it is to be waited for."""
    try:
        return resolve(stage, move)
    except errors.WrongState:
        return None

"""What becomes of a move whose link dies while the guest is copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from common import context
from common import errors
from common import states
from tests import invariants
from tests import stage as stages
from tests import waiting

UNDO = "rollback_live_migration_at_destination"
# A guest of 4000 MiB takes minutes at this rate.
SLOW = {"bandwidth": "20", "policy": "gentle"}
LATE = 15
IMPATIENT: dict[str, Any] = {"compute.migration_link_timeout": 3}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory) -> Iterator[stages.Stage]:
    """Hosts that take a link for dead after three seconds."""
    folder = tmp_path_factory.mktemp("impatient")
    with stages.running(folder, **IMPATIENT) as stage:
        yield stage


@pytest.fixture
def stage(impatient) -> Iterator[stages.Stage]:
    """Give empty hosts whose links are whole; every invariant must hold at the end."""
    yield impatient
    impatient.world.cut.clear()
    invariants.hold(impatient)
    impatient.clear()


def copying(stage, server):
    """Begin a move to host2 that cannot end, and give its id once it runs."""
    move = stage.migrate(server.uuid, "host2", policy=SLOW)
    waiting.until(lambda: stage.move(move).status == states.Move.RUNNING, "it runs")
    return move


def last_undo(stage, move):
    """Give the last try to clean the destination."""
    return [step for step in stage.steps(move) if step.step == UNDO][-1]


def cleaned(stage, move):
    """Wait until the destination has been cleaned by the conductor."""
    waiting.until(lambda: last_undo(stage, move).state == states.StepState.DONE, "clean", LATE)
    return last_undo(stage, move)


def test_dead_link_ends_the_copy(stage):
    """The move fails with the link's name, and the destination is cleaned when it answers."""
    server = stage.boot(stages.LARGE)
    move = copying(stage, server)
    stage.world.plant("host2", "undo", errors.HypervisorError("not yet"))
    stage.world.cut.add("host2")

    ended = stage.ended(move)
    undone = cleaned(stage, move)

    assert (states.Move.FAILED, "link_lost") == (ended.status, ended.error_code)
    assert "the link between host1 and host2 is dead" in ended.error_message
    assert (2, "host2") == (undone.attempt, undone.host)


def test_abort_over_a_dead_link(stage):
    """It is the user's abort, whatever was needed to bring it about."""
    server = stage.boot(stages.LARGE)
    move = copying(stage, server)
    stage.world.cut.add("host2")

    stage.conductor.abort_migration(context.admin(), server.uuid, move)
    ended = stage.ended(move)
    cleaned(stage, move)

    assert (states.Move.CANCELLED, "aborted by a user") == (ended.status, ended.error_message)


def test_abort_over_a_dead_link_while_the_destination_makes_ready(stage):
    """Nobody waits for what it makes: it removes that, and the conductor sees to it."""
    server = stage.boot()
    held = stage.world.hold("host2", "prepare")
    move = stage.migrate(server.uuid, "host2")
    assert held.begun.wait(stages.PATIENCE)
    stage.world.cut.add("host2")

    stage.conductor.abort_migration(context.admin(), server.uuid, move)
    ended = stage.ended(move)
    held.go.set()
    cleaned(stage, move)

    assert (states.Move.CANCELLED, "aborted by a user") == (ended.status, ended.error_message)
    assert "dead link" in next(step for step in stage.steps(move) if step.step == UNDO).error


def test_undo_that_is_refused_is_not_repeated(stage):
    """A guest that runs there is for a person: the journal says so once more, and that is all."""
    server = stage.boot(stages.LARGE)
    move = copying(stage, server)
    stage.world.plant("host2", "undo", errors.Conflict("it runs here"))
    stage.world.cut.add("host2")

    stage.ended(move)
    waiting.until(lambda: last_undo(stage, move).attempt == 2, "the conductor has asked", LATE)
    undo = last_undo(stage, move)

    assert (states.StepState.FAILED, "it runs here") == (undo.state, undo.error)
    stage.world.host("host2").files.clear()


def test_post_copy_that_breaks_twice(stage):
    """The guest waits and goes on each time, and the journal has both recoveries."""
    server = stage.boot(stages.LARGE)
    move = stage.migrate(server.uuid, "host2", policy={"bandwidth": "250"})
    waiting.until(lambda: forced(stage, server, move), "it is forced into post-copy")
    waiting.until(lambda: stage.move(move).status == states.Move.POSTCOPY, "it is in post-copy")

    with invariants.Watch(stage) as watch:
        for _break in range(2):
            stage.world.cut.add("host2")
            waiting.until(lambda: stage.move(move).error_message, "the guest waits", LATE)
            stage.world.cut.clear()
            waiting.until(lambda: not stage.move(move).error_message, "the guest goes on", LATE)
        assert states.Move.COMPLETED == stage.ended(move).status

    assert sorted(watch.percents[move]) == watch.percents[move]
    assert [
        ("migrate", 1, "failed"),
        ("recover_post_copy", 1, "done"),
        ("migrate", 2, "failed"),
        ("recover_post_copy", 2, "done"),
        ("migrate", 3, "done"),
    ] == [
        (step.step, step.attempt, step.state)
        for step in stage.steps(move)
        if step.step in {"migrate", "recover_post_copy"}
    ]


def forced(stage, server, move):
    """Force the move to end, or tell that it copies nothing yet."""
    try:
        stage.conductor.force_complete(context.admin(), server.uuid, move)
    except errors.WrongState:
        return False
    return True

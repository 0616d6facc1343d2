"""What becomes of hosts that cannot be cleaned at once."""

import pytest

from common import errors
from common import states
from tests import waiting

BROKEN = errors.HypervisorError("the hypervisor says no")


def test_undo_is_repeated_until_it_is_done(stage):
    """A destination that is busy is asked again; nothing is left there."""
    server = stage.boot()
    stage.world.plant("host1", "migrate", BROKEN)
    stage.world.plant("host2", "undo", errors.HypervisorError("busy"))

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert states.Move.FAILED == move.status
    assert ("rollback_live_migration_at_destination", "done") == (
        stage.steps(move.uuid)[-1].step,
        stage.steps(move.uuid)[-1].state,
    )


def test_refused_undo_ends_the_move_all_the_same(stage):
    """The journal says what could not be undone."""
    server = stage.boot()
    stage.world.plant("host1", "migrate", BROKEN)
    stage.world.plant("host2", "undo", errors.Conflict("it runs here"))

    move = stage.ended(stage.migrate(server.uuid, "host2"))

    assert states.Move.FAILED == move.status
    undo = stage.steps(move.uuid)[-1]
    assert ("rollback_live_migration_at_destination", "failed", "it runs here") == (
        undo.step,
        undo.state,
        undo.error,
    )
    stage.world.host("host2").files.clear()


def left(stage, move):
    """Give how each try to tidy up the source ended."""
    return [
        (step.attempt, step.state, step.error)
        for step in stage.steps(move.uuid)
        if step.step == "leave_source"
    ]


@pytest.mark.parametrize("fault", [errors.HypervisorError("busy"), errors.NoAnswer("away")])
def test_what_cannot_be_removed_at_the_source_is_removed_later(stage, fault):
    """The guest has arrived, so the move is complete; its source is asked until it has tidied."""
    server = stage.boot()
    stage.world.plant("host1", "leave", fault)

    move = stage.ended(stage.migrate(server.uuid, "host2"))
    waiting.until(lambda: 1 < len(left(stage, move)), "its source is asked again", 15)

    assert states.Move.COMPLETED == move.status
    assert [(1, "failed"), (2, "done")] == [each[:2] for each in left(stage, move)]
    assert set() == stage.world.host("host1").files

"""What becomes of a destination that cannot be cleaned at once."""

from common import errors
from common import states

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

"""Cold moves under options of their own: each test runs services of its own."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from common import context
from common import errors
from common import states
from common.db import moves
from services.conductor.cold import endings
from tests import factories
from tests import invariants
from tests import stage as stages
from tests import waiting

BROKEN = errors.HypervisorError("the hypervisor says no")
LARGER = factories.flavor(
    id="larger", name="larger", memory_mb=2 * stages.SMALL, vcpus=2, root_gb=2
)


@pytest.fixture
def make_stage(tmp_path) -> Callable[..., contextlib.AbstractContextManager[stages.Stage]]:
    """Run all services with these options while a block lasts."""
    return lambda **options: stages.running(tmp_path, **options)


@pytest.mark.parametrize(
    ("host", "method"), [("host2", "undo_cold"), ("host1", "put_back"), ("host1", "power_on")]
)
def test_failing_undo_is_tried_again(make_stage, host, method):
    """What fails while a failure is undone is repeated until it is done."""
    with make_stage(**{"conductor.lease": 5}) as stage:
        server = stage.boot()
        stage.world.plant("host2", "assemble", BROKEN)
        stage.world.plant(host, method, errors.HypervisorError("not now"))

        move = stage.ended(stage.relocate(server.uuid, "host2", wait=False))

        assert states.Move.FAILED == move.status
        assert BROKEN.message in move.error_message
        invariants.hold(stage)


def test_confirmation_that_had_to_wait_ends_without_an_error(make_stage):
    """What held it up is told while it waits, and to nobody who asks later."""
    with make_stage(**{"conductor.lease": 5}) as stage:
        server = stage.boot()
        move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED)
        stage.world.plant("host1", "discard", BROKEN)
        asked = context.admin()

        stage.conductor.confirm_resize(asked, server.uuid)
        waiting.until(lambda: stage.move(move.uuid).error_message, "it is told that it waits")
        told = stage.move(move.uuid).error_message
        ended = stage.ended(move.uuid)

        assert BROKEN.message in told
        assert (states.Move.CONFIRMED, None) == (ended.status, ended.error_message)
        assert stage.action(server.uuid, asked.request_id).message is None
        invariants.hold(stage)


def test_destination_that_does_not_forget_is_told_again(make_stage):
    """What it kept to undo a move by does not stay there once that is confirmed."""
    with make_stage(**{"conductor.lease": 5}) as stage:
        server = stage.boot()
        stage.world.plant("host2", "settle", BROKEN)

        move = stage.ended(stage.relocate(server.uuid, "host2", auto_confirm=True))
        invariants.hold(stage)

        assert (states.Move.CONFIRMED, None) == (move.status, move.error_message)
        assert {} == stage.world.host("host2").made


def test_window_confirms_by_itself(make_stage):
    """Once the window is over nobody need confirm."""
    with make_stage(**{"conductor.resize_confirm_window": 1}) as stage:
        server = stage.boot()

        move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED)

        assert move.confirm_at is not None
        assert states.Move.CONFIRMED == stage.ended(move.uuid).status
        invariants.hold(stage)


def test_dead_guest_does_not_confirm_itself(make_stage):
    """The move stays finished and says why; it is confirmed once the guest runs again."""
    with make_stage(**{"conductor.resize_confirm_window": 3600, "conductor.lease": 5}) as stage:
        server = stage.boot()
        move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED)
        guest, clock = stage.world.host("host2").guests[server.uuid], stage.world.clock
        guest.halt(clock.monotonic(), states.Power.SHUTDOWN)
        with stage.database.write() as tx:
            moves.advance(tx, move, confirm_at=clock.now())

        waiting.until(lambda: stage.move(move.uuid).error_message, "it is told why")
        told = stage.move(move.uuid)
        guest.go(clock.monotonic())

        assert states.Move.FINISHED == told.status
        assert "its guest on host2 is shutdown, and should be running" == told.error_message
        ended = stage.ended(move.uuid)
        assert (states.Move.CONFIRMED, None) == (ended.status, ended.error_message)
        invariants.hold(stage)


def test_resize_may_stay_on_its_host(make_stage):
    """Where that is allowed, and the host has room for both sizes."""
    with make_stage(**{"conductor.allow_resize_to_same_host": True}) as stage:
        stage.conductor.create_flavor(context.admin(), LARGER)
        server = stage.boot()

        move = stage.reached(stage.relocate(server.uuid, "host1", LARGER.id), states.Move.FINISHED)
        stage.conductor.revert_resize(context.admin(), server.uuid)
        stage.ended(move.uuid)
        stage.ended(stage.relocate(server.uuid, "host1", LARGER.id, auto_confirm=True))

        assert ("host1", LARGER.id) == (
            stage.idle(server.uuid).host,
            stage.server(server.uuid).flavor.id,
        )
        invariants.hold(stage)


def test_copies_keep_to_their_limits(make_stage):
    """With one copy at a time from a host, the second waits, its guest untouched."""
    with make_stage(**{"conductor.max_copies_outbound": 1}) as stage:
        first, second = stage.boot(), stage.boot()
        held = stage.world.hold("host1", "copy")
        one = stage.relocate(first.uuid, "host2")
        waiting.until(held.begun.is_set, "the first copy has begun")
        two = stage.relocate(second.uuid, "host3")
        waiting.until(lambda: stage.move(two).stage == "resize_instance", "the second is prepared")

        before = stage.move(two).status
        held.go.set()

        assert states.Move.PRE_MIGRATING == before
        for move in (one, two):
            assert states.Move.FINISHED == stage.reached(move, states.Move.FINISHED).status


@pytest.mark.parametrize("method", ["prepare_cold", "assemble"])
def test_destination_given_up_leaves_the_guest_at_its_source(make_stage, method):
    """One that is forced down while it shall go on is not waited for; its steps are left out."""
    with make_stage(**{"conductor.lease": 5}) as stage:
        server = stage.boot()
        held = stage.world.hold("host2", method)
        uuid = stage.relocate(server.uuid, "host2", wait=False)
        waiting.until(held.begun.is_set, f"{method} has begun")
        stage.mark("host2", forced_down=True)

        waiting.until(lambda: stage.move(uuid).status == states.Move.FAILED, "it failed", 30)

        assert "forced down" in stage.move(uuid).error_message
        assert ["host1"] == stage.world.running(server.uuid)
        assert states.Vm.ACTIVE == stage.idle(server.uuid).vm_state
        stage.mark("host2", forced_down=False)
        held.go.set()


class TestConductorDies:
    """A move has ended, and its conductor dies before it does what was to follow."""

    @pytest.fixture
    def forgetful(self, make_stage, monkeypatch) -> Iterator[stages.Stage]:
        """Run services of which no conductor does at once what follows the end of a move."""
        monkeypatch.setattr(endings, "follow_up", lambda *_: None)
        with make_stage(**{"conductor.lease": 5}) as stage:
            yield stage

    def test_move_still_confirms_itself(self, forgetful):
        """The next one does it."""
        server = forgetful.boot()

        uuid = forgetful.relocate(server.uuid, "host2", auto_confirm=True)

        assert states.Move.CONFIRMED == forgetful.ended(uuid).status
        invariants.hold(forgetful)

    @pytest.mark.parametrize("method", ["prepare_cold", "copy", "assemble"])
    def test_server_is_still_deleted(self, forgetful, method):
        """Whatever the move was at when its user asked for that, the request has an end."""
        server, asked = forgetful.boot(), context.admin()
        held = forgetful.world.hold("host1" if method == "copy" else "host2", method)
        forgetful.relocate(server.uuid, "host2")
        waiting.until(held.begun.is_set, f"{method} has begun")

        forgetful.conductor.operate(asked, server.uuid, "delete")
        held.go.set()
        waiting.until(lambda: not forgetful.servers(), "the server is deleted", 30)

        assert {} == forgetful.everything_held()
        told = forgetful.action(server.uuid, asked.request_id)
        assert ("delete", None) == (told.action, told.message)
        assert told.finished_at is not None

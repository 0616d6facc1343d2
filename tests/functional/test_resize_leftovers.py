"""What a cold move left on a host that was forced down: it is asked for once the host is back."""

from collections.abc import Iterator
from typing import Any

import pytest

from common import context
from common import errors
from common import states
from tests import invariants
from tests import stage as stages
from tests import waiting

BROKEN = errors.HypervisorError("the hypervisor says no")
HASTY: dict[str, Any] = {"conductor.lease": 5}
LATE = 20  # seconds for a lease of 5 to run out, and some looks into the journal


@pytest.fixture(scope="module")
def hasty(tmp_path_factory) -> Iterator[stages.Stage]:
    """Hosts whose silence counts soon."""
    with stages.running(tmp_path_factory.mktemp("hasty"), **HASTY) as stage:
        yield stage


@pytest.fixture
def stage(hasty) -> Iterator[stages.Stage]:
    """Give empty hosts; every invariant must hold at the end."""
    yield hasty
    invariants.hold(hasty)
    hasty.clear()


def silence(stage, host, method):
    """Have the host hang in a method that fails in the end; gives what lets it go on."""
    stage.world.plant(host, method, BROKEN)
    return stage.world.hold(host, method)


def ended_without(stage, move, host, held):
    """Force the host down while it hangs, and give the move when it has ended without it."""
    waiting.until(held.begun.is_set, f"{host} hangs", LATE)
    stage.mark(host, forced_down=True)
    waiting.until(lambda: stage.move(move).status in states.TERMINAL, "it ended", LATE)
    return stage.move(move)


def back(stage, host, held):
    """Let the host go on, fail, and be up again."""
    held.go.set()
    stage.mark(host, forced_down=False)


def last(stage, move, step, host):
    """Give the last attempt of a step."""
    return [one for one in stage.steps(move) if (one.step, one.host) == (step, host)][-1]


def tidied(stage, move, step, host):
    """Wait until the host has tidied up."""
    waiting.until(
        lambda: last(stage, move, step, host).state == states.StepState.DONE, "tidied up", LATE
    )


def left(stage, move, host):
    """Give what the host has of a move."""
    return {name for name in stage.world.host(host).files if move in name}


def test_destination_that_made_ready_is_cleaned_when_it_is_back(stage):
    """The move failed without it; what landed there goes, and the journal tells both."""
    server = stage.boot()
    held = silence(stage, "host2", "assemble")
    move = stage.relocate(server.uuid, "host2", wait=False)

    ended = ended_without(stage, move, "host2", held)
    before = left(stage, move, "host2"), last(stage, move, "undo_resize", "host2")
    back(stage, "host2", held)
    tidied(stage, move, "undo_resize", "host2")

    assert states.Move.FAILED == ended.status
    assert {f"incoming/{move}"} == before[0]
    assert (states.StepState.FAILED, "no_answer") == (before[1].state, before[1].error_code)
    assert "forced down" in before[1].error
    assert set() == left(stage, move, "host2")
    assert ["host1"] == stage.world.running(server.uuid)


def test_host_given_up_for_another_is_cleaned_when_it_is_back(stage):
    """What it made ready after all does not stay because the guest went elsewhere."""
    server = stage.boot()
    held = stage.world.hold("host2", "prepare_cold")
    move = stage.relocate(server.uuid, "host2", wait=False)

    ended = ended_without(stage, move, "host2", held)
    back(stage, "host2", held)
    tidied(stage, move, "undo_resize", "host2")

    assert states.Move.FAILED == ended.status
    assert set() == left(stage, move, "host2")


def test_destination_without_a_way_to_it_is_not_waited_for(stage):
    """The guest goes to another one at once; what was made ready there goes later."""
    server = stage.boot()
    stage.world.plant("host1", "freeze", errors.CopyPathClosed("the port cannot be reached"))
    stage.mark("host3", disabled=True)
    held = silence(stage, "host2", "undo_cold")
    move = stage.relocate(server.uuid, auto_confirm=True)
    waiting.until(held.begun.is_set, "host2 hangs", LATE)
    stage.mark("host3", disabled=False)
    stage.mark("host2", forced_down=True)

    ended = stage.ended(move)
    before = left(stage, move, "host2")
    back(stage, "host2", held)
    tidied(stage, move, "undo_resize", "host2")

    assert (states.Move.CONFIRMED, "host3") == (ended.status, ended.destination)
    assert "copy_path_closed" == ended.reasons["host2"][0]["filter"]
    assert {f"incoming/{move}"} == before
    assert set() == left(stage, move, "host2")


def test_destination_of_a_revert_is_cleaned_when_it_is_back(stage):
    """The guest is back at its source; what the destination has of it goes later."""
    server = stage.boot()
    move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED).uuid
    held = silence(stage, "host2", "undo_cold")
    stage.conductor.revert_resize(context.admin(), server.uuid)

    ended = ended_without(stage, move, "host2", held)
    back(stage, "host2", held)
    tidied(stage, move, "undo_resize", "host2")

    assert states.Move.REVERTED == ended.status
    assert ["host1"] == stage.world.running(server.uuid)


def test_source_of_a_confirmed_move_is_cleaned_when_it_is_back(stage):
    """What it kept is of no use to anybody."""
    server = stage.boot()
    move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED).uuid
    held = silence(stage, "host1", "discard")
    stage.conductor.confirm_resize(context.admin(), server.uuid)

    ended = ended_without(stage, move, "host1", held)
    before = left(stage, move, "host1")
    back(stage, "host1", held)
    tidied(stage, move, "confirm_resize", "host1")

    assert states.Move.CONFIRMED == ended.status
    assert {f"kept/{move}"} == before
    assert set() == left(stage, move, "host1")


def test_destination_of_a_confirmed_move_forgets_when_it_is_back(stage):
    """What it could have been undone by is of no use to anybody."""
    server = stage.boot()
    move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED).uuid
    held = silence(stage, "host2", "settle")
    stage.conductor.confirm_resize(context.admin(), server.uuid)

    ended = ended_without(stage, move, "host2", held)
    before = move in stage.world.host("host2").made
    back(stage, "host2", held)
    tidied(stage, move, "settle_resize", "host2")

    assert states.Move.CONFIRMED == ended.status
    assert before
    assert move not in stage.world.host("host2").made


def test_guest_that_runs_where_it_was_left_out_is_for_a_person(stage):
    """A host that was said to be off and was not: its guest is not ended."""
    server = stage.boot()
    move = stage.reached(stage.relocate(server.uuid, "host2"), states.Move.FINISHED).uuid
    held = silence(stage, "host2", "power_off")
    stage.conductor.revert_resize(context.admin(), server.uuid)

    ended_without(stage, move, "host2", held)
    back(stage, "host2", held)

    def refused() -> bool:
        return bool(last(stage, move, "undo_resize", "host2").error_code == errors.Conflict.code)

    waiting.until(refused, "the journal calls a person", LATE)
    both = stage.world.running(server.uuid)
    del stage.world.host("host2").guests[server.uuid]
    stage.world.host("host2").files.clear()
    assert ["host1", "host2"] == sorted(both)

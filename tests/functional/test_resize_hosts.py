"""Which host a cold move goes to when one will not do: the next, and the guest never notices."""

import pytest

from common import errors
from common import states
from tests import stage as stages
from tests import waiting


def stopped(stage):
    """Give a server that is shut down."""
    return stage.operate(stage.boot().uuid, "stop")


def tried(stage, move):
    """Give the hosts that a move has gone through, in order."""
    return [step.host for step in stage.steps(move.uuid) if step.step == "prep_resize"]


def test_refusing_destination_leads_to_the_next(stage):
    """The guest never notices; the journal has both hosts."""
    server = stage.boot()
    refusing = stages.HOSTS[1:]
    for host in refusing:
        stage.world.plant(host, "prepare_cold", errors.NoDiskSpace(f"{host} is full"))

    first = stage.reached(stage.relocate(server.uuid, wait=False), states.Move.FINISHED)

    assert states.Move.FAILED == first.status
    assert all(f"{host} is full" in first.error_message for host in refusing)
    assert ["host1"] == stage.world.running(server.uuid)


@pytest.mark.parametrize("make", [stages.Stage.boot, stopped])
def test_second_destination_takes_what_the_first_refuses(stage, make):
    """The move arrives, and keeps why it did not go to the first."""
    server = make(stage)
    asked = {host: stage.world.hold(host, "prepare_cold") for host in stages.HOSTS[1:]}
    for host in asked:
        stage.world.plant(host, "prepare_cold", errors.NoDiskSpace(f"{host} is full"))

    uuid = stage.relocate(server.uuid, auto_confirm=True)
    waiting.until(lambda: any(one.begun.is_set() for one in asked.values()), "a host is asked")
    first, second = sorted(asked, key=lambda host: not asked[host].begun.is_set())
    stage.world.host(second).faults.clear()
    for one in asked.values():
        one.go.set()
    move = stage.ended(uuid)

    assert (states.Move.CONFIRMED, second) == (move.status, move.destination)
    assert {first: [{"filter": "no_disk_space", "reason": f"{first} is full"}]} == move.reasons
    assert (server.vm_state, second) == (
        stage.idle(server.uuid).vm_state,
        stage.server(server.uuid).host,
    )


@pytest.mark.parametrize("make", [stages.Stage.boot, stopped])
def test_closed_way_to_a_destination_leads_to_the_next(stage, make):
    """What was made ready there is undone before the guest is touched; the reason is kept."""
    server = make(stage)
    closed = errors.CopyPathClosed("the port of libvirt cannot be reached")
    stage.world.plant("host1", "freeze", closed)

    move = stage.ended(stage.relocate(server.uuid, auto_confirm=True))

    first, second = tried(stage, move)
    assert (states.Move.CONFIRMED, second) == (move.status, move.destination)
    assert {first: [{"filter": closed.code, "reason": f"host1: {closed.message}"}]} == move.reasons
    assert [
        ("prep_resize", first),
        ("resize_instance", "host1"),
        ("undo_resize", first),
        ("prep_resize", second),
        ("resize_instance", "host1"),
        ("finish_resize", second),
        ("confirm_resize", "host1"),
        ("settle_resize", second),
    ] == [(step.step, step.host) for step in stage.steps(move.uuid)]


def test_closed_way_to_the_named_destination_ends_the_move(stage):
    """There is no next one; the guest has never been off."""
    server = stage.boot()
    ticks = stage.world.ticks(server.uuid)
    stage.world.plant("host1", "freeze", errors.CopyPathClosed("the port cannot be reached"))

    move = stage.ended(stage.relocate(server.uuid, "host2"))

    assert (states.Move.FAILED, "copy_path_closed") == (move.status, move.error_code)
    assert "host1: the port cannot be reached" == move.error_message
    assert "restore_instance" not in {step.step for step in stage.steps(move.uuid)}
    assert ticks <= stage.world.ticks(server.uuid)


def test_guest_that_was_not_brought_back_goes_to_no_other_host(stage):
    """The way was found closed when the guest was off already: first of all it has to be back."""
    server = stage.boot()
    stage.world.plant("host1", "freeze", errors.CopyPathClosed("the port cannot be reached"))
    stage.world.plant("host1", "put_back", errors.HypervisorError("cannot start it now"))

    move = stage.ended(stage.relocate(server.uuid, auto_confirm=True))

    assert states.Move.FAILED == move.status
    assert "the port cannot be reached" in move.error_message
    assert ("restore_instance", "host1") in {
        (step.step, step.host) for step in stage.steps(move.uuid)
    }
    assert 1 == len(tried(stage, move))
    assert ["host1"] == stage.world.running(server.uuid)

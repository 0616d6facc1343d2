"""A move that ended in error is settled by what both hosts have of its guest."""

import dataclasses
import json

import pytest

from common import context
from common import errors
from common import states
from tests import races
from tests import waiting


def resolve(stage, move):
    return stage.conductor.resolve_move(context.admin(), move.instance_uuid, move.uuid)


@pytest.fixture
def at_source(stage):
    """Give a move that broke before the hypervisor began, with its guest at host1."""
    server = stage.boot()
    stage.world.plant("host1", "migrate", ZeroDivisionError("planted"))
    return stage.ended(stage.migrate(server.uuid, "host2"))


@pytest.fixture
def at_destination(stage):
    """Give a move whose destination, host2, did not see the guest that it has."""
    server = stage.boot()
    stage.world.plant("host2", "finish", errors.GuestNotFound("host2 has no guest"))
    return stage.ended(stage.migrate(server.uuid, "host2"))


def guest(stage, host, move):
    return stage.world.host(host).guests[move.instance_uuid]


def everything(stage, move):
    """Give all that a resolution may write."""
    server = stage.server(move.instance_uuid)
    return server, stage.held(server.uuid), stage.held(move.uuid), stage.move(move.uuid)


def test_guest_at_the_source_is_recorded_there(stage, at_source):
    """The destination is cleaned and given back, and the next move works."""
    found = resolve(stage, at_source)

    server = stage.server(at_source.instance_uuid)
    assert ("undone", "host1", []) == (found.outcome, found.host, found.notes)
    assert ("host1", states.Vm.ACTIVE) == (server.host, server.vm_state)
    assert ({"host1"}, {}) == (stage.held(server.uuid).keys(), stage.held(at_source.uuid))
    assert set() == stage.world.host("host2").files
    assert "completed" == stage.ended(stage.migrate(server.uuid, "host2")).status


def test_guest_at_the_destination_is_recorded_there(stage, at_destination):
    """The source is cleaned and given back, and the next move works."""
    found = resolve(stage, at_destination)

    server = stage.server(at_destination.instance_uuid)
    assert ("completed", "host2", []) == (found.outcome, found.host, found.notes)
    assert ("host2", states.Vm.ACTIVE) == (server.host, server.vm_state)
    assert ({"host2"}, {}) == (stage.held(server.uuid).keys(), stage.held(at_destination.uuid))
    assert set() == stage.world.host("host1").files
    assert "completed" == stage.ended(stage.migrate(server.uuid, "host1")).status


def test_guest_that_stands_still_at_the_source_is_recorded_so(stage, at_source):
    """It was paused to let the move end; a person lets it go on."""
    guest(stage, "host1", at_source).halt(stage.world.clock.monotonic(), states.Power.PAUSED)

    found = resolve(stage, at_source)

    assert ["it stands still on host1: unpause it when it shall go on"] == found.notes
    assert states.Vm.PAUSED == stage.server(at_source.instance_uuid).vm_state
    assert states.Vm.ACTIVE == stage.operate(at_source.instance_uuid, "unpause").vm_state


def test_guest_on_both_hosts_is_left_alone(stage, at_destination):
    """What each host has is told, nothing is written but why; with one copy less it is settled."""
    copy = dataclasses.replace(guest(stage, "host2", at_destination))
    stage.world.host("host1").guests[copy.uuid] = copy
    before = everything(stage, at_destination)

    with pytest.raises(
        errors.Unresolved,
        match=r"runs on both hosts.*host1 has it running, run .*; host2 has it running",
    ):
        resolve(stage, at_destination)

    assert ["host1", "host2"] == stage.world.running(copy.uuid)
    assert before == everything(stage, at_destination)
    del stage.world.host("host1").guests[copy.uuid]
    assert "completed" == resolve(stage, at_destination).outcome


def test_guest_on_neither_host_keeps_both(stage, at_source):
    """It waits for whoever starts it again."""
    lost = stage.world.host("host1").guests.pop(at_source.instance_uuid)
    before = everything(stage, at_source)

    with pytest.raises(errors.Unresolved, match=r"neither host runs it.*host1 has nothing of it"):
        resolve(stage, at_source)

    assert before == everything(stage, at_source)
    stage.world.host("host1").guests[lost.uuid] = lost
    assert "undone" == resolve(stage, at_source).outcome


def test_guest_of_another_run_is_no_proof(stage, at_source):
    """Its name is that of the server, but nobody of ours started it."""
    there = guest(stage, "host1", at_source)
    token, there.run_token = there.run_token, "another"

    with pytest.raises(errors.Unresolved, match=r"did not start last.*run another"):
        resolve(stage, at_source)

    there.run_token = token
    assert "undone" == resolve(stage, at_source).outcome


def test_destination_that_cannot_be_cleaned_is_asked_again(stage, at_source):
    """Nothing is written before both hosts have done their part."""
    stage.world.plant("host2", "undo", errors.HypervisorError("busy"))
    before = everything(stage, at_source)

    with pytest.raises(errors.Unresolved, match="busy"):
        resolve(stage, at_source)

    assert before == everything(stage, at_source)
    assert "undone" == resolve(stage, at_source).outcome


def test_source_that_cannot_be_cleaned_is_told(stage, at_destination):
    """The guest is safe, so that the record is put right all the same."""
    stage.world.plant("host1", "leave", errors.HypervisorError("busy"))

    found = resolve(stage, at_destination)

    assert ["look for a leftover of it on host1: busy"] == found.notes
    stage.world.host("host1").files.clear()


def test_journal_has_what_was_seen_each_time(stage, at_source):
    """A row for each look, with its inputs, its end and the reason."""
    lost = stage.world.host("host1").guests.pop(at_source.instance_uuid)
    with pytest.raises(errors.Unresolved):
        resolve(stage, at_source)
    stage.world.host("host1").guests[lost.uuid] = lost
    resolve(stage, at_source)

    first, second = [step for step in stage.steps(at_source.uuid) if step.step == "resolve"]
    assert (1, "failed", "unresolved") == (first.attempt, first.state, first.error_code)
    assert (2, "done", None) == (second.attempt, second.state, second.error_code)
    seen = [{one["host"]: one["power_state"] for one in json.loads(second.details)}]
    assert [{"host1": states.Power.RUNNING, "host2": None}] == seen
    assert "resolve-migration" == stage.actions(at_source.instance_uuid)[0].action


def test_of_many_who_resolve_one_does(stage, at_destination):
    """The others hear that it is done, whatever they saw."""

    def ask(_number):
        try:
            return resolve(stage, at_destination).outcome
        except errors.Conflict as refusal:
            assert "was resolved already" in refusal.message  # noqa: PT017 - either answer is right
            return "late"

    assert ["completed", "late", "late"] == sorted(races.race(ask, times=3))


def test_only_a_delete_is_done_before(stage, at_destination):
    """The other host may run it, too: a start would make a second one."""
    uuid = at_destination.instance_uuid
    for operation in ("stop", "reboot_hard", "pause"):
        with pytest.raises(errors.WrongState, match=f"whimbrel migration resolve {uuid}"):
            stage.conductor.operate(context.admin(), uuid, operation)
    with pytest.raises(errors.WrongState, match=f"whimbrel migration resolve {uuid}"):
        stage.migrate(uuid, "host3")

    stage.operate(uuid, "delete")

    waiting.until(lambda: not stage.world.running(uuid), "both hosts have removed it")


def test_what_is_not_in_error_has_nothing_to_resolve(stage):
    """A move that is over, and one of another server."""
    server, other = stage.boot(), stage.boot()
    move = stage.ended(stage.migrate(server.uuid, "host2"))

    with pytest.raises(errors.WrongState, match="completed; only a live migration that ended"):
        resolve(stage, move)
    with pytest.raises(errors.MigrationNotFound):
        stage.conductor.resolve_move(context.admin(), other.uuid, move.uuid)

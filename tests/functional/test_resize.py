"""Cold migration and resize through all services: the way out, the way back, and every failure."""

import pytest

from common import context
from common import errors
from common import states
from tests import factories
from tests import stage as stages
from tests import waiting

STEPS = [
    ("prep_resize", "host2"),
    ("resize_instance", "host1"),
    ("finish_resize", "host2"),
    ("confirm_resize", "host1"),
    ("settle_resize", "host2"),
]
BROKEN = errors.HypervisorError("the hypervisor says no")


def stopped(stage):
    """Give a server that is shut down."""
    return stage.operate(stage.boot().uuid, "stop")


@pytest.fixture
def larger(stage):
    """Give a flavor that is twice as large."""
    made = factories.flavor(
        id="larger", name="larger", memory_mb=2 * stages.SMALL, vcpus=2, root_gb=2
    )
    stage.conductor.create_flavor(context.admin(), made)
    yield made
    stage.conductor.delete_flavor(context.admin(), made.id)


def resized(stage, server, host=None, flavor=None):
    """Begin a cold move, and give it when it is finished."""
    move = stage.reached(stage.relocate(server.uuid, host, flavor), states.Move.FINISHED)
    assert states.Move.FINISHED == move.status, move.error_message
    return move


@pytest.mark.parametrize("make", [stages.Stage.boot, stopped])
def test_migrated_server_waits_for_its_user(stage, make):
    """It is resized at its destination, holds both hosts, and is what it was once confirmed."""
    server = make(stage)
    move = resized(stage, server, "host2")

    there = stage.idle(server.uuid)
    both = [list(stage.held(one)) for one in (server.uuid, move.uuid)]
    stage.conductor.confirm_resize(context.admin(), server.uuid)
    stage.ended(move.uuid)

    assert (states.Vm.RESIZED, "host2") == (there.vm_state, there.host)
    assert [["host2"], ["host1"]] == both
    assert states.Move.CONFIRMED == stage.move(move.uuid).status
    assert (server.vm_state, "host2") == (
        stage.idle(server.uuid).vm_state,
        stage.server(server.uuid).host,
    )


def test_journal_names_every_step(stage):
    """Each step of the way is there once, with its host, and ended well."""
    server = stage.boot()

    move = stage.ended(stage.relocate(server.uuid, "host2", auto_confirm=True))

    steps = stage.steps(move.uuid)
    assert states.Move.CONFIRMED == move.status
    assert STEPS == [(step.step, step.host) for step in steps]
    assert {states.StepState.DONE} == {step.state for step in steps}
    assert move.cold.copied_bytes > move.cold.copied_running > 0


@pytest.mark.parametrize("make", [stages.Stage.boot, stopped])
def test_revert_brings_the_server_back(stage, make, larger):
    """Host, flavor, state and claim are those from before the resize."""
    server = make(stage)
    move = resized(stage, server, None, larger.id)
    grown = stage.idle(server.uuid)

    stage.conductor.revert_resize(context.admin(), server.uuid)
    back = stage.ended(move.uuid)

    assert larger.id == grown.flavor.id
    assert states.Move.REVERTED == back.status
    now = stage.idle(server.uuid)
    assert (server.host, server.vm_state, server.flavor.id) == (
        now.host,
        now.vm_state,
        now.flavor.id,
    )


def test_resized_server_holds_its_new_size(stage, larger):
    """After the confirmation the claim is that of the new flavor, and nothing else is held."""
    server = stage.boot()

    stage.ended(stage.relocate(server.uuid, None, larger.id, auto_confirm=True))

    held = stage.held(server.uuid)
    assert [larger.memory_mb] == [amounts["MEMORY_MB"] for amounts in held.values()]
    assert larger.memory_mb == _guest(stage, server).memory_mb


@pytest.fixture
def less(stage, larger):
    """Give a flavor with the disk of `larger`, and half of its processors and memory."""
    made = larger.replace(id="less", name="less", memory_mb=stages.SMALL, vcpus=1)
    stage.conductor.create_flavor(context.admin(), made)
    yield made
    stage.conductor.delete_flavor(context.admin(), made.id)


@pytest.mark.parametrize("power", [states.Power.RUNNING, states.Power.SHUTDOWN])
@pytest.mark.parametrize("decide", ["confirm_resize", "revert_resize"])
def test_server_gets_smaller_on_the_host_that_is_named(stage, larger, less, power, decide):
    """Its guest, the record and the claim have less; a revert gives all of it back."""
    server = stage.boot(flavor=larger)
    if power == states.Power.SHUTDOWN:
        server = stage.operate(server.uuid, "stop")
    move = resized(stage, server, "host3", less.id)
    guest = _guest(stage, server)
    there = guest.power, guest.memory_mb

    getattr(stage.conductor, decide)(context.admin(), server.uuid)
    stage.ended(move.uuid)

    assert (power, less.memory_mb) == there
    host, flavor = ("host3", less) if decide == "confirm_resize" else ("host1", larger)
    now = stage.idle(server.uuid)
    assert (host, server.vm_state, flavor.id) == (now.host, now.vm_state, now.flavor.id)
    assert {host: (flavor.vcpus, flavor.memory_mb, 2)} == {
        name: (held["VCPU"], held["MEMORY_MB"], held["DISK_GB"])
        for name, held in stage.held(server.uuid).items()
    }
    assert flavor.memory_mb == _guest(stage, server).memory_mb


def test_smaller_disk_is_refused_before_anything_is_touched(stage, larger):
    """The refusal names both sizes; server and moves are as before."""
    server = stage.boot()
    stage.ended(stage.relocate(server.uuid, None, larger.id, auto_confirm=True))
    smaller = larger.replace(id="smaller", name="smaller", root_gb=1)
    stage.conductor.create_flavor(context.admin(), smaller)

    with pytest.raises(errors.Invalid, match="2 to 1 GiB"):
        stage.relocate(server.uuid, None, smaller.id)

    stage.conductor.delete_flavor(context.admin(), smaller.id)
    assert [] == [move for move in _of(stage, server) if move.status != states.Move.CONFIRMED]


@pytest.mark.parametrize(
    ("host", "method"),
    [
        ("host2", "prepare_cold"),
        ("host1", "knock"),
        ("host1", "freeze"),
        ("host1", "copy"),
        ("host1", "remainder"),
        ("host1", "keep_aside"),
        ("host2", "assemble"),
        ("host2", "power_on"),
    ],
)
def test_failure_leaves_the_guest_where_it_was(stage, host, method):
    """It runs at its source, nothing is left anywhere, and the row says where and why."""
    server = stage.boot()
    stage.world.plant(host, method, BROKEN)

    move = stage.ended(stage.relocate(server.uuid, "host2", wait=False))

    assert (states.Move.FAILED, host) == (move.status, move.failed_host)
    assert BROKEN.message in move.error_message
    assert states.Vm.ACTIVE == stage.idle(server.uuid).vm_state
    assert ["host1"] == stage.world.running(server.uuid)


def test_guest_is_back_before_its_destination(stage):
    """A copy that fails has its guest running at once; only the tidying up has to wait."""
    server = stage.boot()
    stage.world.plant("host1", "keep_aside", BROKEN)
    held = stage.world.hold("host2", "undo_cold")

    uuid = stage.relocate(server.uuid, "host2", wait=False)
    waiting.until(held.begun.is_set, "the destination tidies up")
    meanwhile = stage.world.running(server.uuid)
    held.go.set()

    assert states.Move.FAILED == stage.ended(uuid).status
    assert ["host1"] == meanwhile


def test_closed_way_to_the_destination_is_found_before_anything_is_touched(stage):
    """The source says so before it freezes or copies; the guest has never been off."""
    server, ticks = stage.boot(), 0
    held = stage.world.hold("host2", "prepare_cold")
    uuid = stage.relocate(server.uuid, "host2")
    waiting.until(held.begun.is_set, "the destination prepares")
    frozen = stage.world.hold("host1", "freeze")
    ticks = stage.world.ticks(server.uuid)
    stage.world.cut.add("host2")
    held.go.set()
    move = stage.ended(uuid)
    stage.world.cut.clear()
    stage.world.host("host1").holds.clear()

    assert (states.Move.FAILED, "host1") == (move.status, move.failed_host)
    assert "host1 cannot copy to host2" in move.error_message
    assert not frozen.begun.is_set()
    assert ticks <= stage.world.ticks(server.uuid)


@pytest.fixture
def rigid(stage):
    """Give a server whose host refuses to let its guests write beside their disks."""
    server = stage.boot()
    stage.world.host("host1").rigid = True
    yield server
    stage.world.host("host1").rigid = False


def test_guest_that_cannot_be_frozen_is_copied_once_it_is_off(stage, rigid):
    """All of it arrives; nothing was copied while it ran."""
    move = stage.ended(stage.relocate(rigid.uuid, "host2", auto_confirm=True))

    assert (states.Move.CONFIRMED, 0) == (move.status, move.cold.copied_running)
    assert move.cold.copied_bytes > 0
    assert ["host2"] == stage.world.running(rigid.uuid)


def test_destination_is_asked_before_a_guest_goes_off(stage, rigid):
    """One that cannot tell of copies has powered nobody off."""
    ticks = stage.world.ticks(rigid.uuid)
    stage.world.plant("host2", "landed", BROKEN)

    move = stage.ended(stage.relocate(rigid.uuid, "host2", wait=False))

    assert (states.Move.FAILED, "host1") == (move.status, move.failed_host)
    assert ticks <= stage.world.ticks(rigid.uuid)


def test_broken_connection_is_taken_up_again(stage):
    """A copy whose link breaks goes on when the link is back."""
    server = stage.boot()
    held = stage.world.hold("host1", "copy")
    uuid = stage.relocate(server.uuid, "host2")
    waiting.until(held.begun.is_set, "the copy has begun")
    stage.world.cut.add("host2")
    held.go.set()
    waiting.until(lambda: stage.move(uuid).status == states.Move.MIGRATING, "it is copied")
    stage.world.cut.clear()

    assert states.Move.FINISHED == stage.reached(uuid, states.Move.FINISHED).status
    stage.conductor.confirm_resize(context.admin(), server.uuid)
    stage.ended(uuid)


def test_aborted_copy_leaves_everything_as_it_was(stage):
    """The move is cancelled, the server has no fault, the guest has never been off."""
    server = stage.boot()
    ticks = stage.world.ticks(server.uuid)
    held = stage.world.hold("host1", "copy")
    uuid = stage.relocate(server.uuid, "host2")
    waiting.until(held.begun.is_set, "the copy has begun")

    stage.conductor.abort_migration(context.admin(), server.uuid, uuid)
    held.go.set()
    move = stage.ended(uuid)

    assert states.Move.CANCELLED == move.status
    assert stage.idle(server.uuid).fault_code is None
    assert ticks <= stage.world.ticks(server.uuid)


@pytest.mark.parametrize("fault", [None, BROKEN])
def test_abort_before_it_has_a_destination_ends_there(stage, fault):
    """Whether or not its source could have told of its disks: no host is claimed or asked."""
    server = stage.boot()
    held = stage.world.hold("host1", "survey")
    if fault is not None:
        stage.world.plant("host1", "survey", fault)
    uuid = stage.relocate(server.uuid, wait=False)
    waiting.until(held.begun.is_set, "the survey has begun")

    before = stage.move(uuid).status
    stage.conductor.abort_migration(context.admin(), server.uuid, uuid)
    held.go.set()
    move = stage.ended(uuid)

    assert (states.Move.ACCEPTED, states.Move.CANCELLED) == (before, move.status)
    assert "aborted" in move.error_message
    assert [] == stage.steps(uuid)
    assert stage.idle(server.uuid).fault_code is None
    assert ["host1"] == list(stage.held(server.uuid))


@pytest.mark.parametrize("fault", [None, BROKEN])
def test_abort_while_it_is_prepared_ends_there(stage, fault):
    """Whether or not its destination made ready: nothing is copied, nothing is left."""
    server = stage.boot()
    held = stage.world.hold("host2", "prepare_cold")
    if fault is not None:
        stage.world.plant("host2", "prepare_cold", fault)
    uuid = stage.relocate(server.uuid, "host2")
    waiting.until(held.begun.is_set, "the preparation has begun")

    stage.conductor.abort_migration(context.admin(), server.uuid, uuid)
    held.go.set()
    move = stage.ended(uuid)

    assert states.Move.CANCELLED == move.status
    assert "resize_instance" not in [step.step for step in stage.steps(uuid)]
    assert stage.idle(server.uuid).fault_code is None


def test_guest_that_died_can_be_had_back(stage):
    """It is not confirmed, so what its source keeps is there to be put back."""
    server = stage.boot()
    move = resized(stage, server, "host2")
    _guest(stage, server).halt(stage.world.clock.monotonic(), states.Power.CRASHED)

    with pytest.raises(errors.WrongState, match="on host2 is crashed, and should be running"):
        stage.conductor.confirm_resize(context.admin(), server.uuid)
    stage.conductor.revert_resize(context.admin(), server.uuid)

    assert states.Move.REVERTED == stage.ended(move.uuid).status
    assert ["host1"] == stage.world.running(server.uuid)


def test_repeated_step_is_done_once(stage):
    """A step that is told twice is reported twice and done once."""
    server = stage.boot()
    move = resized(stage, server, "host2")
    told = stage.server(server.uuid).replace(run_token="another")

    stage.compute("host2").cold_step(context.admin(), told, move, "finish_resize")
    stage.conductor.confirm_resize(context.admin(), server.uuid)

    assert states.Move.CONFIRMED == stage.ended(move.uuid).status


def _guest(stage, server):
    return stage.world.host(str(stage.server(server.uuid).host)).guests[server.uuid]


def _of(stage, server):
    return [move for move in stage.moves() if move.instance_uuid == server.uuid]

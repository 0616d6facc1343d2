"""The dry run of a live migration: every refusal told for every host, and nothing changed."""

import pytest

from common import context
from common import errors
from common import states
from common.db import hosts
from tests import factories
from tests import stage as stages
from tests import waiting

BRIDGE = "br-tenant"
GIB = 1 << 30


def ask(stage, server, host=None, *, block=None, over_commit=False, policy=None):
    """Give the answers as (host, name): result."""
    found = stage.conductor.check_migrate(
        context.admin(),
        server.uuid,
        host,
        block_migration=block,
        disk_over_commit=over_commit,
        policy=policy,
    )
    return {(one.host, one.name): one for one in found}


def fails(found):
    """Give the reasons against each host, by (host, name)."""
    return {key: one.reason for key, one in found.items() if one.verdict == states.Verdict.FAIL}


@pytest.fixture
def plant(stage):
    """Change what a simulated host is, until the end of the test."""
    changed: list[tuple[object, str, object]] = []

    def change(host, **values):
        found = stage.world.host(host)
        changed.extend((found, name, getattr(found, name)) for name in values)
        for name, value in values.items():
            setattr(found, name, value)

    yield change
    for found, name, before in reversed(changed):
        setattr(found, name, before)


@pytest.fixture
def full(stage):
    """Leave a host so many bytes of disk, until the end of the test; it has told so by then."""
    filled = []

    def fill(name, free):
        host = stage.world.host(name)
        filled.append(host)
        host.free_bytes = free
        told(stage, name, free // GIB)

    yield fill
    for host in filled:
        host.free_bytes = None
        told(stage, host.name, 200 - len(host.guests))


def told(stage, name, least):
    """Wait until a host has told how much of its disk is left."""

    def known():
        with stage.database.read() as tx:
            return hosts.get(tx, name, stage.world.clock.now(), 30).disk_available_least == least

    waiting.until(known, f"{name} has told of its disk", 20)


def other(stage, **values):
    """Give the facts of another kind of host."""
    return stage.world.host("host1").facts.replace(**values)


def test_every_other_host_passes_and_nothing_is_changed(stage):
    """No claim, no task, no row, no file: only answers."""
    server = stage.boot()
    held = stage.held(server.uuid)
    moves = len(stage.moves())

    found = ask(stage, server)

    assert {} == fails(found)
    assert {"host2", "host3"} == {host for host, _ in found}
    assert (None, held) == (stage.server(server.uuid).task_state, stage.held(server.uuid))
    assert moves == len(stage.moves())
    waiting.until(
        lambda: not stage.world.host("host2").files | stage.world.host("host3").files,
        "the test files are gone",
    )


def test_the_answers_have_numbers(stage):
    """What passes says by how much."""
    found = ask(stage, stage.boot(), "host2")

    assert found["host2", "RamFilter"].reason.startswith("needs 100 MB, ")
    assert "MiB for disks, 1024 MiB needed" in found["host2", "disk-space"].reason


@pytest.mark.parametrize(
    ("values", "name", "word"),
    [
        ({"architecture": "riscv64"}, "architecture", "is riscv64"),
        ({"hypervisor_type": "Xen"}, "hypervisor", "runs Xen"),
        ({"hypervisor_version": 1}, "hypervisor", "0.0.1 is older"),
        ({"machine_types": []}, "machine-type", "machine type simulated"),
        ({"virt_type": "kvm"}, "accelerator", "offers kvm"),
    ],
)
def test_what_one_host_lacks_fails_there_alone(stage, plant, values, name, word):
    """The dry run tells it, and the move is refused with the same words."""
    server = stage.boot()
    plant("host2", facts=other(stage, **values))

    found = fails(ask(stage, server))

    assert [("host2", name)] == list(found)
    assert word in found["host2", name]
    with pytest.raises(errors.CheckFailed, match=word):
        stage.migrate(server.uuid, "host2")


def test_a_host_that_is_cut_off_fails(stage):
    """No port of it answers, though its compute does."""
    server = stage.boot()
    stage.world.cut.add("host2")

    found = fails(ask(stage, server))

    stage.world.cut.clear()
    assert {("host2", "migration-ports"): "no connection to host2: it is cut off"} == found


def test_a_missing_bridge_fails(stage, plant):
    """The guest would arrive without its network."""
    network = stage.conductor.create_network(context.admin(), factories.network(name="dry"))
    server = stage.boot(networks=[network.id])
    plant("host3", without={network.bridge})

    found = fails(ask(stage, server))

    assert {("host3", "bridges"): f"host3 has no bridge {BRIDGE}"} == found


def test_files_that_are_there_fail(stage):
    """Somebody's files are not written over."""
    server = stage.boot()
    stage.world.host("host2").files.add(f"instances/{server.uuid}")

    found = fails(ask(stage, server, "host2"))

    assert [("host2", "files")] == list(found)
    stage.world.host("host2").files.clear()


def test_disk_that_is_full_is_told_by_the_scheduler_and_the_host(stage, full):
    """Each by its own numbers; naming the host does not help the move."""
    server = stage.boot()
    full("host2", 1 << 20)

    found = fails(ask(stage, server))

    assert {("host2", "DiskLeastFilter"), ("host2", "disk-space")} == found.keys()
    assert "needs 1 GB, 0 GB left for new disks" in found["host2", "DiskLeastFilter"]
    assert "1 MiB for disks, 1024 MiB needed" in found["host2", "disk-space"]
    with pytest.raises(errors.NoValidHost, match="needs 1 GB, 0 GB left"):
        stage.migrate(server.uuid, "host2")


def test_disk_over_commit_counts_what_is_written(stage, full):
    """A thin disk then needs no room."""
    server = stage.boot()
    full("host2", 0)

    assert {("host2", "DiskLeastFilter"), ("host2", "disk-space")} == fails(
        ask(stage, server, "host2")
    ).keys()
    assert {} == fails(ask(stage, server, "host2", over_commit=True))


def test_shared_is_wrong_for_local_disks(stage):
    """The reason says what to ask for."""
    found = fails(ask(stage, stage.boot(), "host2", block=False))

    assert "use block_migration true or auto" in found["host2", "storage"]


def test_its_own_host_fails(stage):
    """It is in the table only if it is named."""
    server = stage.boot()

    assert [("host1", "not-itself")] == list(fails(ask(stage, server, "host1")))


def test_an_unknown_host_fails(stage):
    """The scheduler has never heard of it."""
    found = fails(ask(stage, stage.boot(), "host9"))

    assert [("host9", "known")] == list(found)


@pytest.mark.parametrize(
    ("mark", "word"),
    [({"forced_down": True}, "forced down"), ({"disabled": True}, "it is disabled")],
)
def test_a_host_out_of_use_fails(stage, mark, word):
    """It is not asked what it could do."""
    server = stage.boot()
    stage.mark("host2", **mark)

    found = ask(stage, server, "host2")

    assert word in fails(found)["host2", "ComputeFilter"]
    assert ("host2", "storage") not in found


def test_a_source_that_is_down_fails_everywhere(stage):
    """The destinations can be asked all the same."""
    server = stage.boot()
    stage.mark("host1", forced_down=True)

    found = ask(stage, server)

    assert {("host2", "source"), ("host3", "source")} == set(fails(found))
    assert ("host2", "architecture") in found
    assert ("host2", "storage") not in found


def test_no_room_for_the_memory_fails(stage):
    """Judged as a claim would be, without one."""
    server = stage.boot(stages.LARGE)
    stage.boot(14000, requested_host="host2")

    found = fails(ask(stage, server))

    assert [("host2", "RamFilter")] == list(found)


@pytest.mark.parametrize("operation", ["pause", "stop"])
def test_a_server_that_does_not_run_fails(stage, operation):
    """A paused guest moves, one that is off does not."""
    server = stage.boot()
    stage.operate(server.uuid, operation)

    names = {name for _, name in fails(ask(stage, server, "host2"))}

    assert ("state" in names) == (operation == "stop")


def test_a_busy_server_fails(stage):
    """What is being done to it comes first, and the dry run does not wait for it."""
    server = stage.boot()
    held = stage.world.hold("host1", "pause")
    stage.conductor.operate(context.admin(), server.uuid, "pause")
    assert held.begun.wait(stages.PATIENCE)

    found = fails(ask(stage, server, "host2"))

    held.go.set()
    assert [("host2", "task")] == list(found)
    stage.idle(server.uuid)


def test_a_host_that_fails_to_answer_fails(stage):
    """Its error is the answer, and the other host's answers are whole."""
    server = stage.boot()
    stage.world.plant("host2", "check_destination", errors.HypervisorError("libvirt is away"))

    found = fails(ask(stage, server))

    assert {("host2", "answer"): "libvirt is away"} == found


def test_a_policy_that_cannot_be_had_whole_is_doubted(stage, plant):
    """What the hosts cannot do is left out: a warning with the reason, and a move all the same."""
    server = stage.boot()
    plant("host2", facts=other(stage, features=["tls"]))

    found = ask(stage, server, "host2")

    assert states.Verdict.WARN == found["host2", "policy"].verdict
    assert "no post-copy" in found["host2", "policy"].reason
    assert {} == fails(found)


def test_a_policy_that_must_not_be_cut_fails(stage, plant):
    """Without certificates nothing goes over TLS, and without TLS nothing goes."""
    flavor = factories.flavor(
        memory_mb=stages.SMALL, vcpus=1, extra_specs={"whimbrel:migration_tls": "true"}
    )
    server = stage.boot(flavor=flavor)
    plant("host2", facts=other(stage, features=[]))

    found = fails(ask(stage, server, "host2"))

    assert "the policy wants TLS" in found["host2", "tls"]


def test_policy_that_is_asked_for_is_judged(stage, plant):
    """A preset and single values of it, as a move would have them; the flavor's give way."""
    server = stage.boot()
    plant("host2", facts=other(stage, features=["tls"]))

    gentle = ask(stage, server, "host2", policy={"policy": "gentle"})
    packed = ask(stage, server, "host2", policy={"policy": "gentle", "compression": "xbzrle"})

    assert "gentle can be had whole" == gentle["host2", "policy"].reason
    assert {} == fails(gentle) == fails(packed)
    assert "no compression" in packed["host2", "policy"].reason
    with pytest.raises(errors.Invalid, match="downtme is no field"):
        ask(stage, server, "host2", policy={"downtme": "1"})


def test_plain_tcp_must_be_asked_for(stage, plant):
    """Nobody configured anything, and so nothing goes in the clear; the way out is told."""
    server = stage.boot()
    plant("host2", facts=other(stage, features=[]))

    found = fails(ask(stage, server, "host2"))

    assert [("host2", "tls")] == list(found)
    assert "live_migration_with_native_tls = false" in found["host2", "tls"]


def test_move_without_the_tls_it_wants_is_refused_by_its_checks(stage, plant):
    """Before anything is prepared; another host may have it."""
    server = stage.boot()
    plant("host2", facts=other(stage, features=[]))

    with pytest.raises(errors.CheckFailed, match="host2: the policy wants TLS"):
        stage.migrate(server.uuid, "host2", policy={"tls": "true"})

    (refused,) = [move for move in stage.moves() if move.instance_uuid == server.uuid]
    assert ("failed", "check_can_live_migrate_source") == (refused.status, refused.failed_step)
    assert "pre_live_migration" not in {step.step for step in stage.steps(refused.uuid)}
    moved = stage.ended(stage.migrate(server.uuid, policy={"tls": "true"}))
    assert ("completed", "host3") == (moved.status, moved.destination)

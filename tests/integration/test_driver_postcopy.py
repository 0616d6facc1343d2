"""Busy guests on real QEMU: limits that change under way, post-copy, and links that break."""

import re
from collections.abc import Iterator
from concurrent import futures

import pytest

from common import errors
from common import objects
from common import states
from deploy.lab import probe
from deploy.lab import waiting
from services.compute.virt import local
from tests import factories
from tests.integration import driver_host
from tests.integration import driver_moves
from tests.integration import labs

pytestmark = pytest.mark.lab

ADDRESS = "198.18.10.130"
PATIENCE = 40
MIB = 1 << 20
BUSY = 3  # MiB per second that the guest writes
SLOW = factories.policy(bandwidth=4, post_copy="on-timeout")
FASTER = SLOW.replace(bandwidth=8)
RUNNING = states.Power.RUNNING


@pytest.fixture(scope="module")
def lab() -> Iterator[labs.Lab]:
    """Run two bare hosts with local disks."""
    with labs.running(labs.Lab("pc", "198.18.10.0/24"), "--bare") as started:
        yield started


@pytest.fixture(scope="module")
def host1(lab, tmp_path_factory) -> Iterator[driver_host.Remote]:
    """The first host's driver."""
    folder = tmp_path_factory.mktemp("host1")
    with driver_host.running(lab, "host1", folder) as remote:
        yield remote


@pytest.fixture(scope="module")
def host2(lab, tmp_path_factory) -> Iterator[driver_host.Remote]:
    """The second host's driver."""
    folder = tmp_path_factory.mktemp("host2")
    with driver_host.running(lab, "host2", folder) as remote:
        yield remote


@pytest.fixture(scope="module")
def files() -> local.Files:
    """The lab's guest."""
    return driver_moves.guest_files()


@pytest.fixture
def awake(host1, host2, files) -> Iterator[objects.Instance]:
    """Give a server with three disks whose guest answers; it is destroyed in the end."""
    made = driver_moves.server(ADDRESS, ephemeral_gb=1, swap_mb=16)
    host1.build(made, files)
    probe.alive(ADDRESS, PATIENCE)
    yield made
    for host in (host1, host2):
        host.destroy(made)


def boot() -> tuple[str, int]:
    """Give the id of the guest's boot and its ticks."""
    probe.alive(ADDRESS, PATIENCE)
    found = re.search(r"boot=(\w+) tick=(\d+)", probe.ask(ADDRESS, "", PATIENCE))
    assert found is not None
    return found[1], int(found[2])


def copying(move: driver_moves.Move) -> objects.MigrationProgress:
    """Wait until the disks are over and memory goes, and tell how far it is."""
    found: list[objects.MigrationProgress] = []

    def begun() -> bool:
        seen = move.source.job(move.server.uuid)
        if seen is not None and seen.memory_processed > 0:
            found.append(seen)
        return bool(found)

    waiting.until(begun, PATIENCE, "memory is not copied")
    return found[-1]


def test_switch_on_order_lets_a_busy_guest_arrive(host1, host2, awake, files):
    """What would take 30 s at this bandwidth runs at the destination at once, and all of it."""
    probe.ask(ADDRESS, f"dirty {BUSY}", PATIENCE)
    before = boot()
    move = driver_moves.Move(host1, host2, awake, files, SLOW).begin()
    assert not copying(move).post_copy

    host1.post_copy(awake.uuid)
    host1.post_copy(awake.uuid)
    waiting.until(lambda: host2.guest(awake.uuid).power is RUNNING, PATIENCE, "no switch")
    late = host1.job(awake.uuid)
    with pytest.raises(errors.WrongState, match="post-copy"):
        host1.abort(awake.uuid)
    with pytest.raises(errors.Conflict):
        host2.undo(awake, move.data)
    host1.set_bandwidth(awake.uuid, 0)
    end = move.finish()

    after = boot()
    assert late.post_copy
    assert states.Power.NOSTATE != host2.guest(awake.uuid).power
    assert (True, False) == (end.gone, end.broken)
    assert before[0] == after[0]
    assert before[1] < after[1]
    assert host1.guest(awake.uuid) is None


def test_limits_change_under_way(host1, host2, awake, files):
    """More bandwidth is seen in the statistics, and the guest arrives soon."""
    move = driver_moves.Move(host1, host2, awake, files, SLOW.replace(post_copy="never")).begin()
    slow = copying(move)

    host1.set_downtime(awake.uuid, 800)
    host1.set_bandwidth(awake.uuid, 16)
    waiting.until(lambda: (host1.job(awake.uuid) or slow).rate > 8 * MIB, PATIENCE, "no faster")
    with pytest.raises(errors.WrongState, match="POSTCOPY"):
        host1.post_copy(awake.uuid)
    end = move.finish()

    assert end.gone
    assert slow.rate < 6 * MIB
    for late in (lambda: host1.set_downtime(awake.uuid, 1), lambda: host1.post_copy(awake.uuid)):
        with pytest.raises(errors.WrongState, match="no move"):
            late()


def test_all_disks_go_and_no_file_is_overwritten(lab, host1, host2, awake, files):
    """Ephemeral disk and swap go with the image's; what lies there already is refused."""
    target = f"{driver_moves.LOCAL}/{awake.uuid}"
    lab.inside("host2", "mkdir", target)
    lab.inside("host2", "touch", f"{target}/disk.eph0")
    with pytest.raises(errors.DiskExists):
        driver_moves.Move(host1, host2, awake, files)
    assert "disk.eph0" == lab.inside("host2", "ls", target).strip()
    lab.inside("host2", "rm", "-r", target)

    move = driver_moves.Move(host1, host2, awake, files).begin()
    end = move.finish()

    assert end.gone, end.reason
    assert ["vda", "vdb", "vdc"] == [disk.target for disk in move.data.disks]
    assert {"disk", "disk.eph0", "disk.swap"} <= set(lab.inside("host2", "ls", target).split())
    assert [] == driver_moves.left(lab, host1)


def test_paused_guest_moves_without_post_copy(host1, host2, awake, files):
    """The policy's wish is left out, with the reason, and the guest stays paused."""
    host1.pause(awake)
    policy = factories.policy(post_copy="on-timeout", parallel_connections=2, compression="zstd")
    move = driver_moves.Move(host1, host2, awake, files, policy)
    agreed = host1.terms(awake, move.data, policy)

    end = move.begin().finish()

    assert end.gone, end.reason
    assert ("never", 2, "none") == (
        agreed.policy.post_copy,
        agreed.policy.parallel_connections,
        agreed.policy.compression,
    )
    assert "paused" in agreed.notes[0]
    assert states.Power.PAUSED == host2.guest(awake.uuid).power


def test_busy_guest_is_slowed_down(lab, host1, host2, awake, files):
    """Auto-converge throttles the guest's processor, step by step from where the policy says."""
    probe.ask(ADDRESS, "dirty 8", PATIENCE)
    policy = factories.policy(
        bandwidth=6, auto_converge=True, auto_converge_initial=40, auto_converge_increment=20
    )
    move = driver_moves.Move(host1, host2, awake, files, policy).begin()
    copying(move)
    seen: list[int] = []

    def throttled() -> bool:
        found = re.search(r"Auto converge throttle: (\d+)", lab.virsh("host1", "domjobinfo", name))
        seen.extend([int(found[1])] if found else [])
        return bool(seen)

    name = f"whimbrel-{awake.uuid}"
    waiting.until(throttled, PATIENCE, "not throttled")
    host1.abort(awake.uuid)

    assert move.finish().cancelled
    assert seen[0] in {40, 60, 80}


@pytest.mark.parametrize("compression", ["none", "xbzrle"])
def test_job_tells_of_itself_at_once(host1, host2, awake, files, compression):
    """Who waits for news is woken by the job's end, and not by the end of its patience."""
    policy = factories.policy(compression=compression)
    move = driver_moves.Move(host1, host2, awake, files, policy)

    def woken_by_the_end() -> bool:
        while host1.wait_job(awake.uuid, PATIENCE):
            if host2.guest(awake.uuid).power is RUNNING:
                return True
        return False

    with futures.ThreadPoolExecutor(1) as pool:
        told = pool.submit(woken_by_the_end)
        end = move.begin().wait()
        woken = told.result(2 * PATIENCE)
    host2.finish(awake, move.data)
    host1.leave(awake, move.data)

    assert end.gone, end.reason
    assert woken


def test_host_tells_what_it_can(host1):
    """Debian's QEMU 7.2 and libvirt 9.0: no multifd compression, and TLS, with certificates."""
    found = host1.capacity().facts.features

    assert {
        "post-copy",
        "post-copy-recovery",
        "parallel",
        "auto-converge",
        "tls",
        "xbzrle",
    } == set(found)

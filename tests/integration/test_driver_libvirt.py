"""The libvirt driver on real hosts with real QEMU: what its contract promises, and its timings."""

import pathlib
from collections.abc import Iterator

import libvirt
import pytest

from common import errors
from common import ids
from common import objects
from common import states
from deploy.lab import plan
from deploy.lab import probe
from deploy.lab import waiting
from services.compute.virt import driver
from services.compute.virt import local
from services.compute.virt.libvirt import processors
from tests import factories
from tests.integration import driver_host
from tests.integration import driver_moves
from tests.integration import labs

pytestmark = pytest.mark.lab

INSTANCES = pathlib.Path("/var/lib/whimbrel/instances")
LOCAL = str(INSTANCES)
ADDRESS = "198.18.9.130"
PATIENCE = 40
SLOW = factories.policy(bandwidth=6)
AWAY = states.Power.NOSTATE
RUNNING = states.Power.RUNNING


@pytest.fixture(scope="module")
def lab() -> Iterator[labs.Lab]:
    """Run two bare hosts with local disks."""
    with labs.running(labs.Lab("plover", "198.18.9.0/24"), "--bare") as started:
        yield started


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder that every host sees under the same name."""
    return tmp_path_factory.mktemp("sockets")


@pytest.fixture(scope="module")
def host1(lab, sockets) -> Iterator[driver_host.Remote]:
    """The first host's driver."""
    with driver_host.running(lab, "host1", sockets, compute__instances_path=LOCAL) as remote:
        yield remote


@pytest.fixture(scope="module")
def host2(lab, sockets) -> Iterator[driver_host.Remote]:
    """The second host's driver."""
    with driver_host.running(lab, "host2", sockets, compute__instances_path=LOCAL) as remote:
        yield remote


@pytest.fixture
def doomed(lab, tmp_path) -> Iterator[driver_host.Remote]:
    """Give a second driver on the first host, to be crashed."""
    with driver_host.running(lab, "host1", tmp_path, compute__instances_path=LOCAL) as remote:
        yield remote


@pytest.fixture(scope="module")
def files() -> local.Files:
    """The lab's guest: the same paths on every host."""
    return driver_moves.guest_files()


@pytest.fixture
def server(host1, host2, files) -> Iterator[objects.Instance]:
    """Give a server that just started on host1; it is destroyed wherever it is in the end."""
    made = driver_moves.server(ADDRESS)
    host1.build(made, files)
    yield made
    for host in (host1, host2):
        host.destroy(made)


@pytest.fixture
def awake(server: objects.Instance) -> objects.Instance:
    """Give the same server once its guest has booted and answers."""
    probe.alive(ADDRESS, PATIENCE)
    return server


def test_guest_moves_with_its_disk_there_and_back(lab, host1, host2, awake, files):
    """It keeps its memory, its disk and its run token; the loser keeps nothing."""
    probe.ask(ADDRESS, "write 20", PATIENCE)
    with probe.Prober(ADDRESS) as prober:
        there = driver_moves.Move(host1, host2, awake, files).begin()
        assert there.finish().gone
        assert host1.guest(awake.uuid) is None
        assert [] == driver_moves.left(lab, host1)
        back = driver_moves.Move(host2, host1, awake, files).begin()
        assert back.finish().gone

    assert not prober.report().restarted
    assert driver.Guest(awake.uuid, RUNNING, awake.run_token, permanent=True) == host1.guest(
        awake.uuid
    )
    assert [awake.uuid] == driver_moves.left(lab, host1)
    assert [] == driver_moves.left(lab, host2)
    assert there.data.block_migration
    assert not there.data.is_shared


def test_move_tells_its_progress_and_what_it_cost(host1, host2, awake, files):
    """Percent never goes back; the end says how long the guest stood still, on both hosts."""
    move = driver_moves.Move(host1, host2, awake, files).begin()

    end = move.finish()

    percents = [each.percent for each in move.progress]
    assert sorted(percents) == percents
    assert {move.data.migration_uuid} == {each.migration_uuid for each in move.progress}
    assert end.downtime_ms is not None
    assert end.job_ms is not None
    assert 0 < end.downtime_ms <= end.job_ms
    told = host2.measured(awake.uuid)
    assert end.downtime_ms == told.downtime_ms
    assert 0 < told.job_ms <= end.job_ms
    assert host1.job(awake.uuid) is None


def test_paused_guest_arrives_paused(host1, host2, awake, files):
    """What the user stopped stays stopped."""
    host1.pause(awake)
    move = driver_moves.Move(host1, host2, awake, files).begin()

    assert move.finish().gone
    assert states.Power.PAUSED == host2.guest(awake.uuid).power
    host2.unpause(awake)
    assert RUNNING == host2.guest(awake.uuid).power


def test_shared_disk_stays_where_it_is(lab, tmp_path, server, files, host1):
    """The test file seen from both hosts decides, and vouches for it where that is allowed."""
    host1.destroy(server)
    shared = tmp_path / "shared"
    shared.mkdir()
    with (
        driver_host.running(lab, "host1", tmp_path, compute__instances_path=str(shared)) as wary,
        driver_host.running(lab, "host2", tmp_path, compute__instances_path=str(shared)) as other,
    ):
        wary.build(server, files)
        move = driver_moves.Move(wary, other, server, files).begin()
        end = move.finish()
    assert not end.gone
    assert "trust_shared_probe" in end.reason
    with (
        driver_host.running(
            lab,
            "host1",
            tmp_path,
            compute__instances_path=str(shared),
            libvirt__trust_shared_probe="true",
        ) as source,
        driver_host.running(lab, "host2", tmp_path, compute__instances_path=str(shared)) as other,
    ):
        move = driver_moves.Move(source, other, server, files).begin()
        end = move.finish()

        assert end.gone, end.reason
        assert [server.uuid] == [path.name for path in shared.iterdir()]
        assert RUNNING == other.guest(server.uuid).power
        other.destroy(server)
        assert [] == list(shared.iterdir())


def test_aborted_move_leaves_the_guest_alone(lab, host1, host2, awake, files):
    """Cancelled on request: the guest never noticed, and the destination is clean."""
    move = driver_moves.Move(host1, host2, awake, files, SLOW).begin()
    assert AWAY == host2.guest(awake.uuid).power
    with pytest.raises(errors.GuestNotFound):
        host2.finish(awake, move.data)

    host1.abort(awake.uuid)
    end = move.finish()

    assert (False, True) == (end.gone, end.cancelled)
    assert RUNNING == host1.guest(awake.uuid).power
    assert [awake.uuid] == driver_moves.left(lab, host1)
    assert [] == driver_moves.left(lab, host2)


def test_abort_of_nothing_is_refused(host1, server):
    """There is no job to stop."""
    with pytest.raises(errors.WrongState, match="no move"):
        host1.abort(server.uuid)


@pytest.mark.parametrize("victim", ["host1", "host2"])
def test_guest_outlives_a_killed_libvirtd(lab, host1, host2, awake, files, victim):
    """Whichever daemon dies in the middle, the guest goes on where it was."""
    move = driver_moves.Move(host1, host2, awake, files, SLOW).begin()

    lab.run("kill", victim, "libvirtd")
    lab.run("start", victim, "libvirtd")
    end = move.wait()
    waiting.until(lambda: undone(host2, awake, move.data), PATIENCE, "not undone")

    assert (False, False) == (end.gone, end.cancelled)
    assert "connection" in end.reason
    assert RUNNING == host1.guest(awake.uuid).power
    assert [] == driver_moves.left(lab, host2)
    probe.alive(ADDRESS, PATIENCE)


def test_move_outlives_a_crash_of_its_compute(doomed, host1, host2, awake, files):
    """libvirt goes on by itself; a driver that is asked again follows the same job."""
    move = driver_moves.Move(doomed, host2, awake, files, SLOW).begin()
    doomed.crash()

    found = host1.job(awake.uuid)
    end = host1.migrate(awake, move.data, SLOW)

    assert found is not None
    assert end.gone
    assert end.job_ms is not None
    assert RUNNING == host2.finish(awake, move.data)
    host1.leave(awake, move.data)
    assert driver.Guest(awake.uuid, RUNNING, awake.run_token, permanent=True) == host2.guest(
        awake.uuid
    )
    assert host1.guest(awake.uuid) is None


def undone(host, server, data) -> bool:
    """Undo, unless libvirt there is still away."""
    try:
        host.undo(server, data)
    except errors.HypervisorError:
        return False
    return True


def test_full_disk_at_the_destination_ends_the_move(lab, host1, host2, awake, files):
    """Refused beforehand when that can be known, else undone."""
    probe.ask(ADDRESS, "write 40", PATIENCE)
    lab.inside("host2", "mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", LOCAL)
    try:
        with pytest.raises(errors.NoDiskSpace, match=r"1024 MiB needed"):
            driver_moves.Move(host1, host2, awake, files)
        with pytest.raises(errors.NoDiskSpace, match=r"MiB needed$"):
            driver_moves.Move(host1, host2, awake, files, disk_over_commit=True)
        lab.inside("host2", "mount", "-o", "remount,size=64m", LOCAL)
        move = driver_moves.Move(host1, host2, awake, files, disk_over_commit=True)
        lab.inside("host2", "mount", "-o", "remount,size=16m", LOCAL)
        end = move.begin().finish()

        assert not end.gone
        assert "No space left" in end.reason
        assert [] == driver_moves.left(lab, host2)
    finally:
        lab.inside("host2", "umount", LOCAL)
    assert "write=1" in probe.ask(ADDRESS, "write 1", PATIENCE)


def test_late_messages_change_nothing(lab, host1, host2, server, files):
    """undo and leave of a move that is over remove neither guest nor disk."""
    there = driver_moves.Move(host1, host2, server, files).begin()
    there.finish()
    with pytest.raises(errors.Conflict):
        host2.undo(server, there.data)
    back = driver_moves.Move(host2, host1, server, files).begin()
    back.finish()
    with pytest.raises(errors.Conflict):
        host1.leave(server, there.data)

    host1.power_off(server)
    host1.leave(server, there.data)
    host1.undo(server, back.data)
    host2.undo(server, there.data)
    host2.leave(server, back.data)

    assert states.Power.SHUTDOWN == host1.guest(server.uuid).power
    assert [server.uuid] == driver_moves.left(lab, host1)
    assert "disk" in lab.inside("host1", "ls", f"{LOCAL}/{server.uuid}")


def test_undo_needs_no_answer_of_prepare(lab, host1, host2, server, files):
    """What prepare made is known on the host, whatever became of its answer."""
    move = driver_moves.Move(host1, host2, server, files)
    assert [server.uuid] == [
        name for name in driver_moves.left(lab, host2) if not name.startswith(".")
    ]

    host2.undo(server, move.data.replace(created=[]))

    assert [] == driver_moves.left(lab, host2)


def test_prepare_may_be_repeated_but_not_by_another_move(host1, host2, server, files):
    """The same move's repeat is fine; another one's finds files of this server."""
    move = driver_moves.Move(host1, host2, server, files)

    assert move.data == host2.prepare(server, move.data, files)
    with pytest.raises(errors.DiskExists):
        host2.prepare(server, move.data.replace(migration_uuid=ids.new()), files)
    with pytest.raises(errors.DiskExists):
        driver_moves.Move(host1, host2, server, files)
    host2.undo(server, move.data)


def test_wrong_block_migration_is_refused(host1, host2, server, files):
    """Local disks must be copied."""
    with pytest.raises(errors.StorageMismatch, match="true or auto"):
        driver_moves.Move(host1, host2, server, files, block_migration=False)


def test_guest_that_runs_there_is_no_destination(host1, host2, server, files):
    """The source is no destination either."""
    with pytest.raises(errors.CheckFailed, match="already"):
        driver_moves.Move(host2, host1, server, files)


def test_guest_starts_again_with_a_fresh_token(host1, server, files):
    """Off, and on with its disk as it was; each start has a token of its own."""
    host1.build(server, files)
    host1.power_off(server)
    host1.power_off(server)
    assert driver.Guest(
        server.uuid, states.Power.SHUTDOWN, server.run_token, permanent=True
    ) == host1.guest(server.uuid)
    again = server.replace(run_token=ids.new())

    host1.power_on(again, files)
    host1.power_on(again, files)

    assert driver.Guest(server.uuid, RUNNING, again.run_token, permanent=True) == host1.guest(
        server.uuid
    )


def test_guest_shuts_down_by_its_power_button(lab, host1, awake):
    """A guest that listens goes off by itself: nobody has to power it off."""
    host1.shut_down(awake, PATIENCE)

    assert states.Power.SHUTDOWN == host1.guest(awake.uuid).power
    assert "shut off (shutdown)" in lab.virsh("host1", "domstate", awake.uuid, "--reason")


def test_deaf_guest_is_powered_off_in_time(host1, server):
    """A paused guest hears no button."""
    host1.pause(server)

    host1.shut_down(server, 1)

    assert states.Power.SHUTDOWN == host1.guest(server.uuid).power


def test_host_is_measured(host1, server):
    """What it has, what it is and what runs."""
    found = host1.capacity()

    assert 1 == found.running_vms
    assert plan.TENANT_BRIDGE in found.facts.bridges
    assert ("x86_64", "QEMU", "qemu") == (
        found.facts.architecture,
        found.facts.hypervisor_type,
        found.facts.virt_type,
    )
    assert found.disk_available_least < found.local_gb
    assert [server.uuid] == [guest.uuid for guest in host1.guests()]


def test_missing_features_of_the_processor_are_named(lab, host1):
    """A guest goes only where all that it was promised exists; each host tells its own."""
    opened = libvirt.open(lab.env()["WHIMBREL_LAB_URI_HOST1"])
    qemu64, penryn, nehalem = (
        processors.expand(opened, "qemu", f"<cpu><model>{model}</model></cpu>")
        for model in ("qemu64", "Penryn", "Nehalem")
    )
    opened.close()
    there = host1.capacity().facts.cpu_features

    assert "has all" in processors.forth("kvm", qemu64, there)
    assert "has all" in processors.forth("kvm", penryn, nehalem)
    with pytest.raises(errors.IncompatibleCpu, match=r"lacks popcnt, sse4\.2"):
        processors.forth("kvm", nehalem, penryn)
    assert "lacks popcnt, sse4.2" in str(processors.back("kvm", penryn, nehalem))


def test_unknown_guest_is_told_as_such(host1):
    """None where it is asked for, GuestNotFound where it is needed, fine where it shall go."""
    ghost = factories.instance()

    assert host1.guest(ghost.uuid) is None
    with pytest.raises(errors.GuestNotFound):
        host1.pause(ghost)
    host1.destroy(ghost)

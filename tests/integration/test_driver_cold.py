"""Cold moves by the driver alone, on real QEMU: what is copied, kept, and brought back."""

from collections.abc import Iterator

import pytest

from common import errors
from common import ids
from common import objects
from common import states
from deploy.lab import probe
from services.compute.virt import local
from tests.integration import driver_host
from tests.integration import driver_moves
from tests.integration import labs

pytestmark = pytest.mark.lab

ADDRESS = "198.18.12.131"
PATIENCE = 40
WRITTEN = 20  # MiB


@pytest.fixture(scope="module")
def lab() -> Iterator[labs.Lab]:
    """Run two bare hosts."""
    with labs.running(labs.Lab("cold", "198.18.12.0/24"), "--bare") as started:
        yield started


@pytest.fixture(scope="module")
def host1(lab, tmp_path_factory) -> Iterator[driver_host.Remote]:
    """The first host's driver."""
    with driver_host.running(lab, "host1", tmp_path_factory.mktemp("host1")) as remote:
        yield remote


@pytest.fixture(scope="module")
def host2(lab, tmp_path_factory) -> Iterator[driver_host.Remote]:
    """The second host's driver."""
    with driver_host.running(lab, "host2", tmp_path_factory.mktemp("host2")) as remote:
        yield remote


@pytest.fixture(scope="module")
def files() -> local.Files:
    """The lab's guest."""
    return driver_moves.guest_files()


@pytest.fixture
def awake(host1, host2, files) -> Iterator[objects.Instance]:
    """Give a server on host1 whose guest answers; it is destroyed in the end."""
    made = driver_moves.server(ADDRESS).replace(host="host1")
    host1.build(made, files)
    probe.alive(ADDRESS, PATIENCE)
    yield made
    for host in (host1, host2):
        host.destroy(made)


def agreed(host1, host2, server, **flavor) -> objects.ColdMove:
    """Survey and prepare a move from host1."""
    larger = server.flavor.replace(**flavor)
    cold = objects.ColdMove(
        migration_uuid=ids.new(),
        old_flavor=server.flavor,
        new_flavor=larger,
        was=states.Vm.ACTIVE,
    )
    cold = host1.survey(server, cold)
    prepared: objects.ColdMove = host2.prepare_cold(server.replace(flavor=larger), cold)
    return prepared


def brought(host1, host2, server, cold, files) -> list[str]:
    """Copy files whole, and give their names."""
    for file in files:
        here = host1.copy(server, cold, file, host2.landed(server, cold, file.name), _ignore)
        assert here == host2.landed(server, cold, file.name)
    return [file.name for file in files]


def _ignore(_count: int, *, over: bool = False) -> None:
    """Take no notice of a piece."""


def test_guest_goes_over_with_what_it_wrote(lab, host1, host2, awake, files):
    """Most is copied while it runs, the rest once it is off; then it is there as it was.

    Its machine type is that of its source, not the one that its host gives new guests.
    """
    cold = agreed(host1, host2, awake).replace(machine_type="pc-q35-7.1")
    frozen = brought(host1, host2, awake, cold, host1.freeze(awake, cold))
    probe.alive(ADDRESS, PATIENCE)

    host1.shut_down(awake, 60)
    rest = brought(host1, host2, awake, cold, host1.remainder(awake, cold))
    host1.keep_aside(awake, cold)
    there = awake.replace(run_token=ids.new())
    host2.assemble(there, cold, files)
    host2.power_on(there, files)

    assert (["disk"], ["disk.delta"]) == (frozen, rest)
    assert host1.guest(awake.uuid) is None
    assert "machine='pc-q35-7.1'" in lab.virsh("host2", "dumpxml", awake.uuid)
    probe.alive(ADDRESS, PATIENCE)
    assert states.Power.RUNNING == host2.guest(awake.uuid).power
    host1.discard(awake, cold)
    assert [] == driver_moves.left(lab, host1)


def test_guest_that_runs_is_whole_again(lab, host1, host2, awake):
    """What it wrote beside its disk is brought back while it runs on; nothing stays anywhere."""
    cold = agreed(host1, host2, awake)
    host1.freeze(awake, cold)
    host1.freeze(awake, cold)

    host1.put_back(awake, cold)
    host2.undo_cold(awake, cold)

    assert f"{awake.uuid}/disk" in lab.virsh("host1", "domblklist", awake.uuid)
    assert ["disk"] == [
        name
        for name in lab.inside("host1", "ls", f"{driver_moves.LOCAL}/{awake.uuid}").split()
        if name.startswith("disk")
    ]
    probe.alive(ADDRESS, PATIENCE)
    host1.freeze(awake, cold)
    host1.put_back(awake, cold)
    probe.alive(ADDRESS, PATIENCE)
    records = [name for name in driver_moves.left(lab, host2) if awake.uuid in name]
    assert [] == records


def test_kept_guest_comes_back(lab, host1, host2, awake, files):
    """Kept aside and put back it starts from its own disk."""
    cold = agreed(host1, host2, awake)
    host1.freeze(awake, cold)
    host1.shut_down(awake, 60)
    host1.keep_aside(awake, cold)
    host1.keep_aside(awake, cold)

    host1.put_back(awake, cold)
    host1.put_back(awake, cold)
    host2.undo_cold(awake, cold)
    host1.power_on(awake, files)

    probe.alive(ADDRESS, PATIENCE)
    assert [awake.uuid] == driver_moves.left(lab, host1)
    assert [] == driver_moves.left(lab, host2)


def test_destination_without_room_refuses_with_numbers(lab, host1, host2, awake):
    """Nothing is left of the try."""
    with pytest.raises(errors.NoDiskSpace, match="MiB of disk free"):
        agreed(host1, host2, awake, root_gb=1_000_000)

    assert [] == driver_moves.left(lab, host2)


def test_disk_grows(lab, host1, host2, awake, files):
    """The disk at the destination has the new flavor's size."""
    cold = agreed(host1, host2, awake, root_gb=2)
    host1.shut_down(awake, 60)
    brought(host1, host2, awake, cold, host1.remainder(awake, cold))
    host1.keep_aside(awake, cold)

    there = awake.replace(flavor=cold.new_flavor)
    host2.assemble(there, cold, files)
    host2.assemble(there, cold, files)

    told = lab.inside("host2", "qemu-img", "info", f"{driver_moves.LOCAL}/{awake.uuid}/disk")
    assert "2 GiB" in told
    host2.undo_cold(there, cold)
    host1.discard(awake, cold)
    assert [] == driver_moves.left(lab, host2)

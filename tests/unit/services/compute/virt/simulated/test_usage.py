"""What a simulated host says of itself, and when it has no room for a disk."""

import pytest

from common import clock
from common import errors
from common import ids
from common import objects
from common.config import load
from services.compute.virt import local
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world as worlds
from tests import factories

GIB = 1 << 30
NO_FILES = local.Files(None, None, None)
BIG = factories.flavor(root_gb=60)


@pytest.fixture(params=[False, True], ids=["local", "shared"])
def world(request):
    return worlds.World(clock.SystemClock(), shared_storage=request.param)


def make(world, name="host1", **options):
    conf = load.private({"host": name, "simulated.disk_gb": 100, **options})
    return driver.Driver(conf, world)


def server(flavor=BIG):
    return factories.instance(flavor=flavor, run_token="run")


def copy(instance):
    disk = objects.DiskInfo(
        target="vda",
        path="disk",
        format="qcow2",
        virtual_bytes=60 * GIB,
        allocated_bytes=0,
    )
    return objects.LibvirtLiveMigrateData(
        migration_uuid=ids.new(), is_shared=False, disks=[disk], destination_address=instance.uuid
    )


def test_thin_disks_are_promises(world):
    host = make(world)
    made = server()
    host.build(made, NO_FILES)

    found = host.capacity()

    assert (100, 40) == (found.local_gb, found.disk_available_least)
    assert [(made.uuid, 60 * GIB)] == [
        (disk.instance_uuid, disk.may_grow_bytes) for disk in found.usage.disks
    ]
    assert [(made.uuid, "run")] == [(guest.uuid, guest.run_token) for guest in found.usage.guests]


def test_guest_whose_disk_could_not_grow_is_not_built(world):
    host = make(world)
    host.build(server(), NO_FILES)

    with pytest.raises(errors.NoDiskSpace, match="host1 has 40960 MiB for disks, 61440 MiB needed"):
        host.build(server(), NO_FILES)


def test_ratio_lets_disks_promise_more(world):
    host = make(world, **{"compute.disk_allocation_ratio": 1.5})
    host.build(server(), NO_FILES)
    host.build(server(), NO_FILES)

    assert -20 == host.capacity().disk_available_least


def test_ratio_of_an_aggregate_takes_the_place_of_the_hosts_own(world):
    host = make(world)
    host.build(server(), NO_FILES)

    host.allow(1.5)
    host.build(server(), NO_FILES)
    host.allow(1.0)

    with pytest.raises(errors.NoDiskSpace):
        host.build(server(), NO_FILES)


def test_second_of_two_copies_at_once_is_refused():
    """Each had been checked while the other was not there."""
    world = worlds.World(clock.SystemClock())
    host = make(world, "host2")
    first, second = server(), server()
    host.prepare(first, copy(first), NO_FILES)

    with pytest.raises(errors.NoDiskSpace):
        host.prepare(second, copy(second), NO_FILES)

    assert 40 == host.capacity().disk_available_least


def test_second_of_two_cold_moves_at_once_is_refused(world):
    """And what the first has taken is given back with it."""
    host = make(world, "host2")
    (first, one), (second, other) = cold(), cold()
    host.prepare_cold(first, one)
    host.prepare_cold(first, one)

    with pytest.raises(errors.NoDiskSpace, match="host2 has 40960 MiB for disks, 61440 MiB needed"):
        host.prepare_cold(second, other)

    assert [(first.uuid, 60 * GIB)] == growing(host)
    host.undo_cold(first, one)
    assert [] == growing(host)
    host.prepare_cold(second, other)


def test_disks_of_a_guest_that_came_cold_are_promises(world):
    """Those of its new flavor, and of the old one where it is kept until somebody confirms."""
    source, host = make(world), make(world, "host2")
    moved, one = cold(old_flavor=factories.flavor(root_gb=10))
    source.build(moved.replace(flavor=one.old_flavor), NO_FILES)
    source.power_off(moved)

    source.keep_aside(moved, one)
    host.prepare_cold(moved, one)
    host.assemble(moved, one, NO_FILES)

    kept = [(moved.uuid, 10 * GIB)]
    here = [(moved.uuid, 60 * GIB)]
    shared = world.host("host1").storage != ""
    assert (here + kept if shared else here) == growing(host)
    assert (here + kept if shared else kept) == growing(source)
    (guest,) = host.capacity().usage.guests
    assert (1, 512, 60) == (guest.vcpus, guest.memory_mb, guest.disk_gb)


def cold(**values):
    """Give a server that is off, and its cold move to the big flavor."""
    return server(), factories.cold_move(new_flavor=BIG, **values)


def growing(host):
    """Give whose disks may still grow, and by how much."""
    return [(disk.instance_uuid, disk.may_grow_bytes) for disk in host.capacity().usage.disks]


def test_hosts_of_one_storage_say_so(world):
    one, other = make(world), make(world, "host2")
    one.build(server(), NO_FILES)
    same = one.capacity().storage == other.capacity().storage

    assert (40 if same else 100) == other.capacity().disk_available_least
    assert same == (world.host("host1").storage != "")


def test_foreign_guests_are_told(world):
    world.host("host1").foreign.append(
        objects.ForeignGuest(uuid=ids.new(), name="legacy", vcpus=2, memory_mb=1024)
    )

    found = make(world).capacity().usage

    assert ["legacy"] == [guest.name for guest in found.foreign]

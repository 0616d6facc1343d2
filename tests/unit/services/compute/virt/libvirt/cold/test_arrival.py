"""A cold move at its destination: what it is refused for, what is promised, and what stays."""

import pytest

from common import errors
from common import ids
from common import objects
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import foreign
from services.compute.virt.libvirt import qcow2
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt.cold import arrival
from services.compute.virt.libvirt.cold import places
from services.compute.virt.libvirt.cold import upload
from tests import factories

GIB = 1 << 30
MIB = 1 << 20
COLD = records.Role.COLD


@pytest.fixture
def server():
    """Give a server of host0 without an image."""
    return factories.instance(host="host0")


@pytest.fixture
def coming(connection, here, server):
    """Give what makes its move to this host, by what the move is."""

    def make(**values) -> arrival.Coming:
        known = factories.facts(machine_types=["pc-q35-7.2"])
        disk = objects.DiskInfo(
            target="vda",
            path=f"/there/{server.uuid}/disk",
            format="qcow2",
            virtual_bytes=GIB,
            allocated_bytes=64 * MIB,
        )
        given = {"disks": [disk], "machine_type": "pc-q35-7.2", "source_facts": known, **values}
        host = facts.Host(known, frozenset({here.cpu_model}))
        at = checks.Arrival(connection, here, host, server, factories.NOW)
        return arrival.Coming(at, factories.cold_move(**given), stays=False)

    return make


@pytest.fixture
def free(monkeypatch, here):
    """Give what makes the file system have so many bytes, beside the disks that may grow."""

    def make(left: int) -> None:
        measured = disks.space

        def space(instances, others=disks.NOBODY):
            return measured(instances, others)._replace(total=left, free=left)

        monkeypatch.setattr(disks, "space", space)

    return make


def names(here) -> list[str]:
    """Name all that is in a host's instances, but for the id that they have."""
    return sorted(path.name for path in here.instances.iterdir() if path.name != disks.MARK)


def test_prepared_host_has_promised_its_room(coming, here, server, free):
    """The next guest is told so, although nothing has been copied yet."""
    free(2 * GIB - MIB)
    at = coming()

    arrival.prepare(at, 0)

    assert GIB == qcow2.read(places.incoming(here, at.cold) / "disk").virtual
    with pytest.raises(errors.NoDiskSpace, match="MiB when every thin disk is full"):
        arrival.prepare(coming(), 0)


def test_host_that_promises_more_than_it_has(coming, here, free):
    """By its ratio, as for every other guest."""
    free(GIB // 2)
    with pytest.raises(errors.NoDiskSpace):
        arrival.prepare(coming(), 0)

    at = coming()
    larger = at.arrival._replace(here=here._replace(disk_ratio=3.0))

    assert arrival.prepare(at._replace(arrival=larger), 0).destination_folder


def test_disks_of_foreign_guests_are_counted(coming, free, here, tmp_path, monkeypatch):
    """They may fill the same file system."""
    free(2 * GIB - MIB)
    theirs = tmp_path / "theirs.qcow2"
    disks.make(theirs, GIB, None)
    monkeypatch.setattr(foreign, "owners", lambda _: {theirs: "a neighbour"})

    with pytest.raises(errors.NoDiskSpace):
        arrival.prepare(coming(), 0)

    assert [] == names(here)


def test_image_that_comes_along_needs_room(coming, server, free):
    """It is copied like a disk."""
    free(GIB + 400 * MIB)
    server.image = factories.image(size=500 * MIB)

    with pytest.raises(errors.NoDiskSpace):
        arrival.prepare(coming(needs_images=["disk"]), 0)

    assert arrival.prepare(coming(), 0).destination_folder


def test_failed_preparation_leaves_nothing(coming, here, monkeypatch):
    """Neither folder nor record: nobody undoes a preparation that was refused."""
    at = coming()

    def refuse(*_: object) -> None:
        raise errors.HypervisorError("no pool")

    monkeypatch.setattr(upload, "open_pool", refuse)

    with pytest.raises(errors.HypervisorError, match="no pool"):
        arrival.prepare(at, 0)

    assert [] == names(here)


def test_shared_storage_is_no_leftover(coming, here, server):
    """The files that are there are the guest's own: nobody is told to remove them."""
    here.folder(server.uuid).mkdir()
    shared = disks.identity(here.instances, ids.new())

    with pytest.raises(errors.StorageMismatch, match=r"host1 shares .*live-migrate") as refusal:
        arrival.prepare(coming(source_storage=shared), 0)

    assert "remove" not in str(refusal.value)
    with pytest.raises(errors.DiskExists, match="remove them there"):
        arrival.prepare(coming(source_storage="another"), 0)


def test_repeat_is_refused_nothing(coming, here, free):
    """What it needs was promised to it the first time."""
    at = coming()
    arrival.prepare(at, 0)
    free(0)

    arrival.prepare(at, 0)

    assert [places.incoming(here, at.cold).name] == [
        name for name in names(here) if not name.startswith(".")
    ]


def test_assembled_guest_survives_a_power_failure(coming, here, server, monkeypatch):
    """Its disks are on the disk before they get their name, and that before it is told."""
    at = coming()
    prepared = arrival.prepare(at, 0)
    incoming, folder = places.incoming(here, at.cold), here.folder(server.uuid)
    flushed: list[tuple[object, bool]] = []
    flush = disks.flush

    def noted(path) -> None:
        flush(path)
        flushed.append((path, folder.exists()))

    monkeypatch.setattr(disks, "flush", noted)

    arrival.assemble(at.arrival.connection, here, server, prepared, None)

    wanted = [(incoming / "disk", False), (incoming, False), (here.instances, True)]
    assert wanted == flushed


def test_late_repeat_touches_nothing(coming, here, server):
    """The guest is assembled by then."""
    at = coming()
    prepared = arrival.prepare(at, 0)
    arrival.assemble(at.arrival.connection, here, server, prepared, None)
    before = names(here)

    arrival.prepare(at, 0)

    assert before == names(here)
    record = records.read(here.instances, COLD, at.cold.migration_uuid)
    assert record is not None
    assert str(here.folder(server.uuid)) in record.paths

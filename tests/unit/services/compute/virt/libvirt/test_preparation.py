import pytest

from common import errors
from common import ids
from common import objects
from services.compute.virt import local
from services.compute.virt.libvirt import preparation
from services.compute.virt.libvirt import qcow2
from services.compute.virt.libvirt import records
from tests import factories

MIB = 1 << 20
COMING = records.Role.COMING


@pytest.fixture
def server():
    """A server with an image and no network."""
    return factories.instance(image=factories.image())


@pytest.fixture
def files(tmp_path_factory):
    """The image's checked copy."""
    path = tmp_path_factory.mktemp("cache") / "base"
    path.write_bytes(b"\1" * MIB)
    return local.Files(str(path), None, None)


def moving(server, folder, **values):
    disk = objects.DiskInfo(
        target="vda",
        path=str(folder / server.uuid / "disk"),
        format="qcow2",
        virtual_bytes=64 * MIB,
        allocated_bytes=0,
        image_id="image",
    )
    given = {"migration_uuid": ids.new(), "disks": [disk], "is_shared": False}
    return objects.LibvirtLiveMigrateData(**{**given, **values})


def names(here):
    return sorted(path.name for path in here.instances.iterdir())


def test_target_disk_is_an_empty_overlay_of_the_same_size(here, connection, server, files):
    """It stands on this host's own copy of the image."""
    data = moving(server, here.instances)

    found = preparation.prepare(connection, here, server, data, files)

    folder = here.instances / server.uuid
    header = qcow2.read(folder / "disk")
    assert [str(folder), str(folder / "disk")] == found.created
    assert (64 * MIB, files.disk) == (header.virtual, header.backing)


def test_undo_removes_what_prepare_made(here, connection, server, files):
    """And a repeat finds nothing to do."""
    data = moving(server, here.instances)
    preparation.prepare(connection, here, server, data, files)

    preparation.undo(connection, here, server, data)
    preparation.undo(connection, here, server, data)

    assert [] == names(here)


def test_failed_prepare_leaves_nothing(here, connection, server):
    """A base file that is missing is told, and the directory goes again."""
    data = moving(server, here.instances)

    with pytest.raises(errors.HypervisorError, match="qemu-img"):
        preparation.prepare(connection, here, server, data, local.Files("/nowhere", None, None))

    assert [] == names(here)


def test_files_of_another_attempt_are_left_alone(here, connection, server, files):
    """Neither used nor removed, not even by undo of the refused one."""
    data = moving(server, here.instances)
    (here.instances / server.uuid).mkdir()

    with pytest.raises(errors.DiskExists, match="remove them there"):
        preparation.prepare(connection, here, server, data, files)
    preparation.undo(connection, here, server, data)

    assert [server.uuid] == names(here)


def test_disk_elsewhere_is_refused(here, connection, server, files, tmp_path):
    """libvirt keeps the path, so both hosts must have the same directory."""
    data = moving(server, tmp_path / "elsewhere")

    with pytest.raises(errors.StorageMismatch, match="same instances_path"):
        preparation.prepare(connection, here, server, data, files)

    assert [] == names(here)


def test_shared_storage_needs_no_preparation(here, connection, server, files):
    """The directory is there; nothing is made, nothing is recorded."""
    (here.instances / server.uuid).mkdir()
    data = moving(server, here.instances, is_shared=True)

    found = preparation.prepare(connection, here, server, data, files)
    preparation.undo(connection, here, server, data)

    assert [] == found.created
    assert [server.uuid] == names(here)


def test_shared_storage_that_is_not_seen_is_refused(here, connection, server, files):
    """A mount that went away between check and move."""
    data = moving(server, here.instances, is_shared=True)

    with pytest.raises(errors.StorageMismatch, match="does not see"):
        preparation.prepare(connection, here, server, data, files)


def test_running_guest_is_never_undone(here, connection, domain, files):
    """Conflict, whatever the record says."""
    server = factories.instance(uuid=domain.UUIDString(), image=factories.image())
    data = moving(server, here.instances)
    folder = here.instances / server.uuid
    folder.mkdir()
    record = records.Record(data.migration_uuid, server.uuid, [str(folder)])
    records.write(here.instances, COMING, record)

    with pytest.raises(errors.Conflict, match="nothing is undone"):
        preparation.undo(connection, here, server, data)
    domain.destroy()
    with pytest.raises(errors.Conflict, match="shut down there"):
        preparation.undo(connection, here, server, data)

    assert folder.is_dir()


def test_record_cannot_name_another_directory(here, connection, server, tmp_path):
    """A record that was tampered with removes nothing outside instances_path."""
    data = moving(server, here.instances)
    precious = tmp_path / "elsewhere" / server.uuid
    precious.mkdir(parents=True)
    record = records.Record(data.migration_uuid, server.uuid, [str(precious)])
    records.write(here.instances, COMING, record)

    with pytest.raises(errors.Invalid, match="no server's directory"):
        preparation.undo(connection, here, server, data)

    assert precious.is_dir()


def test_a_copy_that_no_longer_fits_is_refused(here, connection, server, files):
    """Another came since the check, and its disk may grow; nothing stays of the second."""
    tight = here._replace(reserved=1 << 60)

    with pytest.raises(errors.NoDiskSpace, match="MiB needed"):
        preparation.prepare(connection, tight, server, moving(server, here.instances), files)

    assert [] == names(here)

"""The libvirt driver as a whole, on libvirt's own test hypervisor."""

import os

import pytest

from common import errors
from common import ids
from common import objects
from common.config import load
from services.compute.virt import local
from services.compute.virt.libvirt import driver
from tests import factories

NO_FILES = local.Files(None, None, None)


@pytest.fixture
def host(uri, tmp_path):
    """The driver of host1, whose disks are in this directory."""
    conf = load.private(
        {"host": "host1", "libvirt.uri": uri, "compute.instances_path": str(tmp_path)}
    )
    made = driver.Driver(conf)
    yield made
    made.stop()


def copy(server, folder, size):
    """Give the move of a server with one disk of so many bytes."""
    disk = objects.DiskInfo(
        target="vda",
        path=str(folder / server.uuid / "disk"),
        format="qcow2",
        virtual_bytes=size,
        allocated_bytes=0,
    )
    return objects.LibvirtLiveMigrateData(
        migration_uuid=ids.new(), is_shared=False, disks=[disk], destination_address="host1"
    )


def test_disks_may_grow_as_far_as_the_conductor_counts(host, tmp_path):
    """The scheduler places by an aggregate's ratio, so the host has to check with it."""
    server = factories.instance()
    found = os.statvfs(tmp_path)
    moving = copy(server, tmp_path, (found.f_bavail + found.f_blocks) * found.f_frsize)

    with pytest.raises(errors.NoDiskSpace):
        host.prepare(server, moving, NO_FILES)
    host.allow(3.0)
    host.prepare(server, moving, NO_FILES)
    host.undo(server, moving)
    host.allow(1.0)

    with pytest.raises(errors.NoDiskSpace):
        host.prepare(server, moving, NO_FILES)

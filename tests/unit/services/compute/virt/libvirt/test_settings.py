import pytest

from common import errors
from common import ids
from common.config import load
from services.compute.virt.libvirt import settings


def test_address_is_the_host_where_none_is_given():
    """Peers reach this host by its name unless told otherwise."""
    plain = settings.read(load.private({"host": "host1"}))
    given = settings.read(
        load.private({"host": "host1", "libvirt.migration_address": "198.51.100.11"})
    )

    assert "qemu+tls://host1/system" == plain.peer_uri
    assert "qemu+tls://198.51.100.11/system" == given.peer_uri


def test_server_id_is_no_path(here):
    """Only a uuid becomes a directory's name."""
    uuid = ids.new()

    assert here.instances / uuid == here.folder(uuid)
    with pytest.raises(errors.Invalid):
        here.folder("../precious")


def test_ports_are_first_and_last():
    """Both belong to it; what is no range of ports is refused with its name."""
    moved = settings.read(load.private({"host": "h", "libvirt.migration_ports": "50000-50009"}))
    assert (50000, 50009, 10) == (moved.ports[0], moved.ports[-1], len(moved.ports))

    for wrong in ("50009-50000", "0-10", "65000-65536"):
        with pytest.raises(errors.Invalid, match="migration_ports is"):
            settings.read(load.private({"host": "h", "libvirt.migration_ports": wrong}))

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

    assert "qemu+tcp://host1/system" == plain.peer_uri
    assert "qemu+tcp://198.51.100.11/system" == given.peer_uri


def test_server_id_is_no_path(here):
    """Only a uuid becomes a directory's name."""
    uuid = ids.new()

    assert here.instances / uuid == here.folder(uuid)
    with pytest.raises(errors.Invalid):
        here.folder("../precious")

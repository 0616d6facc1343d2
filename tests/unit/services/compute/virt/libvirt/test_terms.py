import libvirt
import pytest

from common import objects
from services.compute.virt.libvirt import terms

DISK = objects.DiskInfo(
    target="vda",
    path="/i/u/disk",
    format="qcow2",
    virtual_bytes=1,
    allocated_bytes=1,
    image_id=None,
)


def data(**values):
    given = {"migration_uuid": "m", "destination_address": "198.51.100.12"}
    return objects.LibvirtLiveMigrateData(**{**given, **values})


def test_definition_outlives_every_crash():
    """Permanent there before the guest runs there, gone here only after that."""
    found = terms.flags(data())

    assert found & libvirt.VIR_MIGRATE_PERSIST_DEST
    assert found & libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    assert found & libvirt.VIR_MIGRATE_PEER2PEER


@pytest.mark.parametrize(
    ("block", "disks", "copied"),
    [(True, [DISK], True), (False, [DISK], False), (True, [], False)],
)
def test_only_overlays_of_local_disks_are_copied(block, disks, copied):
    """The base file is at the destination already."""
    given = data(block_migration=block, disks=disks)

    assert copied == bool(terms.flags(given) & libvirt.VIR_MIGRATE_NON_SHARED_INC)
    assert copied == (terms.parameters(given, 0).get("migrate_disks") == ["vda"])


@pytest.mark.parametrize("unsafe", [True, False])
def test_unsafe_is_vouched_for_or_not_said(unsafe):
    """libvirt's own check is switched off only on request."""
    found = terms.flags(data(unsafe=unsafe))

    assert unsafe == bool(found & libvirt.VIR_MIGRATE_UNSAFE)


@pytest.mark.parametrize(
    ("address", "uri", "listen"),
    [
        ("198.51.100.12", "tcp://198.51.100.12", "198.51.100.12"),
        ("2001:db8::1", "tcp://[2001:db8::1]", "2001:db8::1"),
        ("host2", "tcp://host2", None),
    ],
)
def test_stream_goes_to_the_migration_address(address, uri, listen):
    """A name is not listened on: at its own host it may mean the loopback."""
    found = terms.parameters(data(destination_address=address), 0)

    assert (uri, listen) == (found["migrate_uri"], found.get("listen_address"))


@pytest.mark.parametrize(("limit", "given"), [(0, None), (8, 8)])
def test_bandwidth_without_limit_is_not_given(limit, given):
    """0 would mean something else to libvirt."""
    assert given == terms.parameters(data(), limit).get("bandwidth")

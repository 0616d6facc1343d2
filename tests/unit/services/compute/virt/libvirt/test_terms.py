import libvirt
import pytest

from common import objects
from services.compute.convergence import engine
from services.compute.virt.libvirt import terms
from tests import factories

PLAIN = factories.policy()
DISKS = [
    objects.DiskInfo(
        target=target,
        path=f"/i/u/{target}",
        format="qcow2",
        virtual_bytes=1,
        allocated_bytes=1,
        image_id=None,
    )
    for target in ("vda", "vdb")
]


def data(**values):
    given = {"migration_uuid": "m", "destination_address": "198.51.100.12"}
    return objects.LibvirtLiveMigrateData(**{**given, **values})


def test_definition_outlives_every_crash():
    """Permanent there before the guest runs there, gone here only after that."""
    found = terms.flags(data(), PLAIN)

    assert found & libvirt.VIR_MIGRATE_PERSIST_DEST
    assert found & libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    assert found & libvirt.VIR_MIGRATE_PEER2PEER


@pytest.mark.parametrize(
    ("block", "disks", "copied"),
    [(True, DISKS, True), (False, DISKS, False), (True, [], False)],
)
def test_only_overlays_of_local_disks_are_copied(block, disks, copied):
    """Every one of them; the base file is at the destination already."""
    given = data(block_migration=block, disks=disks)

    found = terms.parameters(given, PLAIN).get("migrate_disks")

    assert copied == bool(terms.flags(given, PLAIN) & libvirt.VIR_MIGRATE_NON_SHARED_INC)
    assert copied == (found == ["vda", "vdb"])


@pytest.mark.parametrize("unsafe", [True, False])
def test_unsafe_is_vouched_for_or_not_said(unsafe):
    """libvirt's own check is switched off only on request."""
    found = terms.flags(data(unsafe=unsafe), PLAIN)

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
    found = terms.parameters(data(destination_address=address), PLAIN)

    assert (uri, listen) == (found["migrate_uri"], found.get("listen_address"))


@pytest.mark.parametrize(
    ("policy", "given"),
    [
        ({}, {}),
        ({"bandwidth": 8}, {"bandwidth": 8}),
        (
            {"bandwidth": 8, "post_copy": "on-stall"},
            {"bandwidth": 8, "bandwidth.postcopy": 8},
        ),
        (
            {"auto_converge": True, "auto_converge_initial": 30},
            {"auto_converge.initial": 30, "auto_converge.increment": 10},
        ),
        ({"parallel_connections": 4}, {"parallel.connections": 4}),
        ({"compression": "xbzrle"}, {"compression": ["xbzrle"]}),
    ],
)
def test_policy_becomes_parameters(policy, given):
    """What it leaves alone is not given: 0 would mean something else to libvirt."""
    found = terms.parameters(data(), factories.policy(**policy))

    assert given == {name: found[name] for name in found.keys() - {"migrate_uri", "listen_address"}}


@pytest.mark.parametrize(
    ("policy", "flag"),
    [
        ({"auto_converge": True}, libvirt.VIR_MIGRATE_AUTO_CONVERGE),
        ({"post_copy": "on-timeout"}, libvirt.VIR_MIGRATE_POSTCOPY),
        ({"parallel_connections": 2}, libvirt.VIR_MIGRATE_PARALLEL),
        ({"compression": "xbzrle"}, libvirt.VIR_MIGRATE_COMPRESSED),
        ({"tls": True}, libvirt.VIR_MIGRATE_TLS),
    ],
)
def test_policy_becomes_flags(policy, flag):
    """One flag for each thing it wants, and no other."""
    assert terms.flags(data(), PLAIN) | flag == terms.flags(data(), factories.policy(**policy))


def test_resumption_is_the_same_move():
    """libvirt takes a broken move up again only on the terms on which it began."""
    policy = factories.policy(tls=True)
    given = data(block_migration=True, disks=DISKS)

    found = terms.resumption(given, policy)

    again = libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_POSTCOPY_RESUME
    assert terms.flags(given, policy) | again == found


@pytest.mark.parametrize(
    ("ladder", "first"), [([], 500), ([100, 150, 300], 100), ([700, 900], 500)]
)
def test_first_downtime_is_the_lowest_rung(ladder, first):
    """The guest is stopped only for what it was promised, as the engine says, too."""
    policy = factories.policy(ladder=ladder)

    assert first == terms.first_downtime(policy) == engine.Engine(policy, 1).begin().value

import pytest

from common import errors
from common import objects
from services.compute.virt import checks
from tests import factories

MIB = 1 << 20
DISK = objects.DiskInfo(
    target="vda",
    path="/i/u/disk",
    format="qcow2",
    virtual_bytes=100 * MIB,
    allocated_bytes=10 * MIB,
    image_id=None,
)
FACTS = objects.HostFacts(
    architecture="x86_64",
    hypervisor_type="QEMU",
    hypervisor_version=7002000,
    machine_types=["pc-q35-7.2"],
)


def asked(**values):
    return objects.LibvirtLiveMigrateData(migration_uuid="m", destination_address="host2", **values)


@pytest.mark.parametrize(
    ("shared", "wanted", "block"),
    [(True, None, False), (False, None, True), (True, False, False), (False, True, True)],
)
def test_block_migration_follows_the_test_file(shared, wanted, block):
    """auto copies exactly when nothing is shared; the right wish is granted."""
    checks.storage(shared=shared, asked=wanted, disks=1)

    assert block == checks.copied(shared=shared, asked=wanted, disks=1)


@pytest.mark.parametrize(
    ("shared", "wanted", "advice"),
    [(True, True, "use block_migration false or auto"), (False, False, "true or auto")],
)
def test_wrong_block_migration_is_refused_with_advice(shared, wanted, advice):
    """The sentence says what to ask for instead."""
    with pytest.raises(errors.StorageMismatch, match=advice):
        checks.storage(shared=shared, asked=wanted, disks=1)


def test_guest_without_disks_goes_either_way():
    """Nothing is copied, so nothing contradicts."""
    checks.storage(shared=True, asked=True, disks=0)

    assert not checks.copied(shared=True, asked=True, disks=0)


@pytest.mark.parametrize(
    ("over_commit", "free", "fits"),
    [(False, 100, True), (False, 99, False), (True, 10, True), (True, 9, False)],
)
def test_room_counts_whole_disks_unless_over_commit_is_allowed(over_commit, free, fits):
    """disk_over_commit counts what is written, else what may be written."""
    data = asked(disk_over_commit=over_commit, destination_free_bytes=free * MIB, disks=[DISK])
    told = f"host2 has {free} MiB"

    if fits:
        assert told in checks.room(data)
        return
    with pytest.raises(errors.NoDiskSpace, match=told):
        checks.room(data)


def test_files_of_the_server_at_the_destination_are_left_alone():
    """Somebody must look at them first; on shared storage they belong there."""
    found = asked(destination_has_files=True)

    checks.untouched(factories.instance(), found, shared=True)
    with pytest.raises(errors.DiskExists, match="host2 has files"):
        checks.untouched(factories.instance(), found, shared=False)


def test_other_architecture_is_refused():
    """The sentence names both."""
    with pytest.raises(errors.WrongArchitecture, match="needs aarch64, host2 is x86_64"):
        checks.architecture("host2", "aarch64", FACTS)


def test_unknown_machine_type_is_refused():
    """An older QEMU cannot give the guest its hardware."""
    with pytest.raises(errors.HypervisorTooOld, match=r"pc-q35-9\.9"):
        checks.machine("pc-q35-9.9", FACTS)


def test_kvm_guest_does_not_go_to_an_emulating_host():
    """The two kinds cannot take over each other's state."""
    with pytest.raises(errors.IncompatibleCpu, match="kvm"):
        checks.accelerator("kvm", FACTS)


@pytest.mark.parametrize(
    ("there", "reason"),
    [({"hypervisor_type": "Xen"}, "runs Xen"), ({"hypervisor_version": 1}, "0.0.1 is older")],
)
def test_other_or_older_hypervisor_is_refused(there, reason):
    """The destination's hypervisor is the same and not older."""
    assert "QEMU 7.2.0 here, 7.2.0 there" == checks.hypervisor("QEMU", 7002000, FACTS)

    with pytest.raises(errors.HypervisorTooOld, match=reason):
        checks.hypervisor("QEMU", 7002000, FACTS.replace(**there))


def test_missing_bridge_is_named():
    """The guest would arrive without its network."""
    port = objects.Port(
        id="p", network_id="n", network="t", bridge="br-none", mac="fa:16:00:00:00:01"
    )
    server = factories.instance(ports=[port])

    assert "host2 has br-none" == checks.bridges("host2", server, ["br-none"])
    with pytest.raises(errors.BridgeMissing, match="host2 has no bridge br-none"):
        checks.bridges("host2", server, ["br-other"])


def test_guest_that_is_there_already_is_refused():
    """One guest of a uuid per host."""
    with pytest.raises(errors.CheckFailed, match="already"):
        checks.absent("host2", "u", there=True)

import pytest

from common import errors
from common import objects
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import facts
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
GUEST = checks.Running("x86_64", "pc-q35-7.2", "qemu", None, [])


def names(here):
    return [path.name for path in here.instances.iterdir()]


def asked(**values):
    return objects.LibvirtLiveMigrateData(migration_uuid="m", destination_address="host2", **values)


@pytest.mark.parametrize(
    ("shared", "wanted", "block"),
    [(True, None, False), (False, None, True), (True, False, False), (False, True, True)],
)
def test_block_migration_follows_the_test_file(shared, wanted, block):
    """auto copies exactly when nothing is shared; the right wish is granted."""
    assert block == checks.storage(shared, wanted, [DISK])


@pytest.mark.parametrize(
    ("shared", "wanted", "advice"),
    [(True, True, "use block_migration false or auto"), (False, False, "true or auto")],
)
def test_wrong_block_migration_is_refused_with_advice(shared, wanted, advice):
    """The sentence says what to ask for instead."""
    with pytest.raises(errors.StorageMismatch, match=advice):
        checks.storage(shared, wanted, [DISK])


def test_guest_without_disks_goes_either_way():
    """Nothing is copied, so nothing contradicts."""
    assert not checks.storage(True, True, [])


@pytest.mark.parametrize(
    ("over_commit", "free", "fits"),
    [(False, 100, True), (False, 99, False), (True, 10, True), (True, 9, False)],
)
def test_room_counts_whole_disks_unless_over_commit_is_allowed(over_commit, free, fits):
    """disk_over_commit counts what is written, else what may be written."""
    data = asked(disk_over_commit=over_commit, destination_free_bytes=free * MIB, disks=[DISK])

    if fits:
        checks.room(data)
        return
    with pytest.raises(errors.NoDiskSpace, match=f"host2 has {free} MiB"):
        checks.room(data)


def test_files_of_the_server_at_the_destination_are_left_alone():
    """Somebody must look at them first."""
    with pytest.raises(errors.DiskExists, match="host2 has files"):
        checks.clear(factories.instance(), asked(destination_has_files=True))


def test_other_architecture_is_refused():
    """The sentence names both."""
    with pytest.raises(errors.WrongArchitecture, match="needs aarch64, host2 is x86_64"):
        checks.architecture("host2", "aarch64", FACTS)


def test_unknown_machine_type_is_refused():
    """An older QEMU cannot give the guest its hardware."""
    with pytest.raises(errors.HypervisorTooOld, match=r"pc-q35-9\.9"):
        checks.machine(GUEST._replace(machine_type="pc-q35-9.9"), FACTS)


def test_kvm_guest_does_not_go_to_an_emulating_host():
    """The two kinds cannot take over each other's state."""
    with pytest.raises(errors.IncompatibleCpu, match="kvm"):
        checks.machine(GUEST._replace(virt_type="kvm"), FACTS)


@pytest.mark.parametrize(
    ("there", "reason"),
    [({"hypervisor_type": "Xen"}, "runs Xen"), ({"hypervisor_version": 1}, "0.0.1 is older")],
)
def test_other_or_older_hypervisor_is_refused(connection, there, reason):
    """The destination's hypervisor is the same and not older."""
    same = FACTS.replace(hypervisor_type=connection.getType(), hypervisor_version=2)

    checks.hypervisor(connection, same)

    with pytest.raises(errors.HypervisorTooOld, match=reason):
        checks.hypervisor(connection, same.replace(**there))


def test_cpu_model_that_the_host_cannot_give_is_refused(here):
    """Its guests could never come here."""
    with pytest.raises(errors.IncompatibleCpu, match="qemu64"):
        checks.model(here, facts.Host(FACTS, frozenset({"kvm64"})))


def test_missing_bridge_is_named():
    """The guest would arrive without its network."""
    port = objects.Port(
        id="p", network_id="n", network="t", bridge="br-none", mac="fa:16:00:00:00:01"
    )

    with pytest.raises(errors.BridgeMissing, match="host2 has no bridge br-none"):
        checks.bridges("host2", factories.instance(ports=[port]))


def test_guest_that_is_there_already_is_refused(here, connection):
    """One guest of a uuid per host."""
    uuid = connection.listAllDomains()[0].UUIDString()

    with pytest.raises(errors.CheckFailed, match="already"):
        checks.absent(here, connection, uuid)


def test_destination_leaves_a_test_file_and_takes_it_back(here, connection):
    """The answer names the file; cleaning removes it, twice too."""
    host = facts.Host(FACTS, frozenset({"qemu64"}))

    found = checks.destination(connection, here, host, factories.instance(), asked())

    assert found.test_file in names(here)
    assert "qemu+tcp://198.51.100.11/system" == found.destination_uri
    checks.clean(here, found)
    checks.clean(here, found)
    assert [] == names(here)


@pytest.mark.parametrize("name", [None, "../precious", "precious", ".whimbrel-probe-host2-x"])
def test_clean_removes_only_own_test_files(here, name):
    """A name from the bus cannot remove anything else."""
    (here.instances / ".whimbrel-probe-host2-x").touch()
    (here.instances / "precious").touch()

    checks.clean(here, asked(test_file=name))

    assert 2 == len(names(here))


def test_sweep_leaves_other_hosts_test_files(here):
    """On shared storage another host may be in the middle of its check."""
    (here.instances / ".whimbrel-probe-host1-a").touch()
    (here.instances / ".whimbrel-probe-host2-b").touch()

    checks.sweep(here)

    assert [".whimbrel-probe-host2-b"] == names(here)


def test_source_needs_the_destinations_answer(here, connection):
    """Without it nothing is compared."""
    with pytest.raises(errors.Invalid, match="not been asked"):
        checks.source(connection, here, factories.instance(), asked())


def test_test_file_is_seen_or_not(here):
    """Seen by name in the directory of the disks."""
    (here.instances / "there").touch()

    assert (True, False) == (
        checks.seen(here.instances, "there"),
        checks.seen(here.instances, "elsewhere"),
    )

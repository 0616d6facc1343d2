import re
from pathlib import Path

import pytest

from common import checks as answers
from common import clock
from common import errors
from common import objects
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import reach
from tests import factories

FACTS = objects.HostFacts(
    architecture="x86_64",
    hypervisor_type="QEMU",
    hypervisor_version=7002000,
    machine_types=["pc-q35-7.2"],
)
HOST = facts.Host(FACTS, frozenset({"qemu64"}))


@pytest.fixture
def doors():
    return reach.Doors(clock.SystemClock())


@pytest.fixture
def here(here):
    """The settings of host1, which others reach at an address that exists."""
    return here._replace(address="127.0.0.1", reserved=1 << 30)


def names(here):
    return [path.name for path in here.instances.iterdir()]


def asked(**values):
    return objects.LibvirtLiveMigrateData(migration_uuid="m", destination_address="host2", **values)


def test_cpu_model_that_the_host_cannot_give_is_refused(here):
    """Its guests could never come here."""
    with pytest.raises(errors.IncompatibleCpu, match="qemu64"):
        checks.model(here, facts.Host(FACTS, frozenset({"kvm64"})))


def test_guest_that_is_there_already_is_refused(here, connection):
    """One guest of a uuid per host."""
    uuid = connection.listAllDomains()[0].UUIDString()

    with pytest.raises(errors.CheckFailed, match="already"):
        checks.absent(here, connection, uuid)


def test_destination_leaves_a_test_file_and_takes_it_back(here, connection, doors):
    """The answer names the file and a port that listens; cleaning ends both, twice too."""
    at = checks.Arrival(connection, here, HOST, factories.instance(), factories.NOW)

    found = checks.destination(at, asked(), doors).data

    assert found.test_file in names(here)
    assert "qemu+tcp://127.0.0.1/system" == found.destination_uri
    assert "answers" in reach.qemu("127.0.0.1", found.destination_ports)
    checks.clean(here, found, doors)
    checks.clean(here, found, doors)
    assert [] == names(here)
    with pytest.raises(errors.Unreachable, match="Connection refused"):
        reach.qemu("127.0.0.1", found.destination_ports)


def test_room_is_what_the_host_does_not_keep_for_itself(here, connection, doors):
    """reserved_host_disk_mb is no room for guests, with and without disk_over_commit."""
    at = checks.Arrival(connection, here, HOST, factories.instance(), factories.NOW)
    greedy = at._replace(here=here._replace(reserved=1 << 60))

    for over_commit in (False, True):
        data = asked(disk_over_commit=over_commit)
        assert checks.destination(at, data, doors).data.destination_free_bytes > 0
        assert checks.destination(greedy, data, doors).data.destination_free_bytes < 0


def test_every_answer_of_the_destination_is_told(here, connection, doors):
    """A fail keeps no other check from being made."""
    poor = facts.Host(FACTS.replace(architecture="riscv64"), frozenset())
    at = checks.Arrival(connection, here, poor, factories.instance(), factories.NOW)

    results = checks.destination(at, asked(), doors).results

    assert ["fail"] * 2 + ["pass"] * 4 == [result.verdict for result in results]
    assert [check.name for check in checks.DESTINATION] == [result.name for result in results]


def test_the_file_has_the_name_that_was_given(here, connection, doors):
    """The conductor knows it before it asks; a name of somebody else's is not taken."""
    at = checks.Arrival(connection, here, HOST, factories.instance(), factories.NOW)
    given = answers.test_file("host1")

    mine = checks.destination(at, asked(test_file=given), doors).data
    other = checks.destination(at, asked(test_file="../precious"), doors).data

    assert given == mine.test_file
    assert answers.owns("host1", other.test_file)
    assert {mine.test_file, other.test_file} == set(names(here))


def test_a_check_that_was_given_up_leaves_nothing(here, connection, doors):
    """It ends after its own clean-up: nobody would ever remove the file."""
    at = checks.Arrival(connection, here, HOST, factories.instance(), factories.NOW)
    late = asked(test_file=answers.test_file("host1"))
    checks.clean(here, late, doors)

    with pytest.raises(errors.WrongState, match="given up"):
        checks.destination(at, late, doors)

    assert [] == names(here)


@pytest.mark.parametrize("name", [None, "../precious", "precious", ".whimbrel-probe-host2-x"])
def test_clean_removes_only_own_test_files(here, doors, name):
    """A name from the bus cannot remove anything else."""
    (here.instances / ".whimbrel-probe-host2-x").touch()
    (here.instances / "precious").touch()

    checks.clean(here, asked(test_file=name), doors)

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
        checks.source(connection, here, HOST, factories.instance(), asked(), factories.NOW)


def test_a_guest_that_is_not_here_is_the_only_answer(here, connection):
    """Nothing else can be said of it."""
    told = asked(destination_facts=FACTS, test_file="x")

    found = checks.source(connection, here, HOST, factories.instance(), told, factories.NOW)

    assert [("guest", "fail", "guest_not_found")] == [
        (result.name, result.verdict, result.code) for result in found.results
    ]


def test_a_destination_without_a_free_port_is_doubted():
    """Nothing could be tried, which proves nothing."""
    assert isinstance(checks.ports(asked(destination_ports=[])), answers.Doubt)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, ""),
        ({"instances": "/srv/vms"}, "instances_path"),
        ({"cache": "/srv/images"}, "[image] cache"),
    ],
)
def test_hosts_that_keep_files_elsewhere_are_refused(here, connection, doors, values, named):
    """The guest's definition names its files by the source's paths; the option is told."""
    at = checks.Arrival(connection, here, HOST, factories.instance(), factories.NOW)
    told = checks.destination(at, asked(), doors).data
    source = here._replace(**{name: Path(value) for name, value in values.items()})

    if not named:
        assert str(here.instances) in checks.paths(source, told)
        return
    with pytest.raises(errors.StorageMismatch, match=re.escape(named)):
        checks.paths(source, told)


def test_test_file_is_seen_or_not(here):
    """Seen by name in the directory of the disks."""
    (here.instances / "there").touch()

    assert (True, False) == (
        checks.seen(here.instances, "there"),
        checks.seen(here.instances, "elsewhere"),
    )


@pytest.mark.parametrize(
    ("conf", "agrees"),
    [
        ({}, True),
        ({"migration_port_min": "49152", "migration_port_max": "49215"}, True),
        ({"migration_port_min": "50000"}, False),
    ],
)
def test_ports_that_libvirt_does_not_use_are_doubted(conf, agrees):
    """The numbers of both are told."""
    found = checks.configured(range(49152, 49216), conf)

    told = found.reason if isinstance(found, answers.Doubt) else ""
    assert agrees == (not told)
    assert agrees or "50000-49215, [libvirt] migration_ports says 49152-49215" in told

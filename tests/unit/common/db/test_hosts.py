import pytest
import sqlalchemy as sa

from common import errors
from common import objects
from common.db import claims
from common.db import hosts
from common.db import rooms
from common.db import servers
from common.db import services
from tests import factories
from tests.factories import NOW


def test_the_newest_report_counts(database):
    with database.write() as tx:
        hosts.report(tx, factories.node(memory_mb=1024))
        hosts.report(tx, factories.node(memory_mb=2048, running_vms=3))

        found = hosts.get(tx, "host1", NOW, 30)

    assert (2048, 3) == (found.memory_mb, found.running_vms)


def test_used_is_promised_and_reserved(database):
    """Nova's meaning of the *_used numbers: what the host keeps counts too."""
    node = factories.node(
        reserved_host_memory_mb=256,
        reserved_host_cpus=1,
        reserved_host_disk_mb=1025,
        cpu_allocation_ratio=4.0,
    )
    with database.write() as tx:
        hosts.report(tx, node)
        claims.claim(tx, "host1", "vm", claims.amounts(factories.flavor(swap_mb=1)))

        found = hosts.get(tx, "host1", NOW, 30)

    assert (2, 768, 4) == (found.vcpus_used, found.memory_mb_used, found.local_gb_used)
    assert node.facts == found.facts
    assert 4.0 == found.cpu_allocation_ratio


def test_a_host_comes_with_its_compute_service(database):
    with database.write() as tx:
        hosts.report(tx, factories.node("a"))
        hosts.report(tx, factories.node("b"))
        services.report(tx, factories.service("b"), NOW)
        services.report(tx, factories.service("b", binary="nova-scheduler"), NOW)

        first, second = hosts.all(tx, NOW, 30)

    assert ("a", None) == (first.host, first.service)
    assert second.service is not None
    assert ("nova-compute", True) == (second.service.binary, second.service.up)


def test_an_unknown_host_is_not_found(database):
    with pytest.raises(errors.HostNotFound, match="host9"), database.read() as tx:
        hosts.get(tx, "host9", NOW, 30)


def test_two_hosts_cannot_share_a_uuid(database):
    with database.write() as tx:
        hosts.report(tx, factories.node("a", uuid="same"))

        with pytest.raises(errors.Exists, match="same"):
            hosts.report(tx, factories.node("b", uuid="same"))


def test_rooms_tell_what_the_scheduler_asks(database):
    with database.write() as tx:
        hosts.report(tx, factories.node("a"))
        hosts.report(tx, factories.node("b", availability_zone="east"))
        services.report(tx, factories.service("b", disabled=True, disabled_reason="fan"), NOW)
        claims.claim(tx, "b", "vm", {claims.MEMORY_MB: 96})

        silent, room = rooms.read(tx, NOW, 30)

    assert (False, None) == (silent.up, silent.silent)
    assert ("east", True, 0, True, "fan") == (
        room.zone,
        room.up,
        room.silent,
        room.disabled,
        room.disabled_reason,
    )
    assert 4000 == room.amounts[claims.MEMORY_MB].free


def test_a_report_that_changes_nothing_writes_nothing(database):
    """The time of the last change stays, and no row is written."""
    usage = objects.HostUsage(memory_free_mb=100)
    node = factories.node(uuid="a", usage=usage, disk_available_least=3)
    with database.write() as tx:
        hosts.report(tx, node)
        written = []
        sa.event.listen(
            tx.connection,
            "before_cursor_execute",
            lambda *told: written.append(told[2]),
        )
        hosts.report(tx, factories.node(uuid="a", usage=usage, disk_available_least=3))

    assert [] == [words for words in written if not words.lstrip().startswith("SELECT")]


def test_foreign_guests_are_taken_off_what_can_be_promised(database):
    foreign = [
        objects.ForeignGuest(uuid="x", name="x", vcpus=2, memory_mb=1000, disk_gb=10),
        objects.ForeignGuest(uuid="y", name="y", vcpus=1, memory_mb=96, disk_gb=0),
    ]
    node = factories.node(usage=objects.HostUsage(foreign=foreign), cpu_allocation_ratio=2.0)
    with database.write() as tx:
        hosts.report(tx, node)

        found = hosts.get(tx, "host1", NOW, 30)
        with pytest.raises(errors.NoRoom, match="needs 3001 MB, 3000 MB free"):
            claims.claim(tx, "host1", "vm", {claims.MEMORY_MB: 3001})
        claims.claim(tx, "host1", "vm", {claims.VCPU: 5, claims.MEMORY_MB: 3000})

    assert (3, 1096, 10) == (found.foreign_vcpus, found.foreign_memory_mb, found.foreign_gb)
    assert (3, 1096, 10) == (found.vcpus_used, found.memory_mb_used, found.local_gb_used)


def test_a_host_that_shrinks_below_its_promises_is_told(database):
    with database.write() as tx:
        fits = hosts.report(tx, factories.node(uuid="a"))
        claims.claim(tx, "host1", "vm", {claims.MEMORY_MB: 4000})
        shrunk = hosts.report(tx, factories.node(uuid="a", reserved_host_memory_mb=200))
        again = hosts.report(tx, factories.node(uuid="a", reserved_host_memory_mb=200))

        found = hosts.get(tx, "host1", NOW, 30)

    assert ({}, {claims.MEMORY_MB: 104}, {}) == (fits, shrunk, again)
    assert {claims.MEMORY_MB: 104} == found.over_promised


def test_hosts_with_one_storage_are_named_together(database):
    with database.write() as tx:
        for name, storage in (("a", "nfs"), ("b", "own"), ("c", "nfs"), ("d", "")):
            hosts.report(tx, factories.node(name, storage=storage))

        found = {name: hosts.sharing(tx, name) for name in "abd"}

    assert {"a": ["a", "c"], "b": ["b"], "d": ["d"]} == found


def test_workload_counts_servers_that_something_is_done_to(database):
    with database.write() as tx:
        hosts.report(tx, factories.node())
        servers.create(tx, factories.instance(host="host1"))
        servers.create(tx, factories.instance(host="host1", task_state="rebooting"))

        found = hosts.get(tx, "host1", NOW, 30)

    assert 1 == found.current_workload

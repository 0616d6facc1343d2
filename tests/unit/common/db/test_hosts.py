import pytest

from common import errors
from common.db import candidates
from common.db import claims
from common.db import hosts
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

        silent, room = candidates.rooms(tx, NOW, 30)

    assert (False, None) == (silent.up, silent.silent)
    assert ("east", True, 0, True, "fan") == (
        room.zone,
        room.up,
        room.silent,
        room.disabled,
        room.disabled_reason,
    )
    assert 4000 == room.amounts[claims.MEMORY_MB].free

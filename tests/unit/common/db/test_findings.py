"""What hosts have otherwise than the records."""

import datetime

import pytest

from common import objects
from common import states
from common.db import claims
from common.db import findings
from common.db import hosts
from common.db import moves
from common.db import servers
from common.db import services
from common.db import tables
from tests import factories
from tests.factories import NOW

UUID = "8f0f3c1e-0000-4000-8000-000000000001"
OTHER = "8f0f3c1e-0000-4000-8000-000000000002"
LATER = NOW + datetime.timedelta(seconds=100)
RUNNING = int(states.Power.RUNNING)
OFF = int(states.Power.SHUTDOWN)


def seen(power: int = RUNNING, uuid: str = UUID) -> objects.HostGuest:
    return objects.HostGuest(uuid=uuid, power_state=power, run_token="run")


def report(tx, host: str, *guests: objects.HostGuest, at: datetime.datetime = LATER) -> None:
    """Have a host tell of its guests."""
    node = factories.node(host, uuid=host, usage=objects.HostUsage(guests=list(guests)))
    hosts.report(tx, node)
    services.report(tx, factories.service(host), at)


def server(tx, **values) -> objects.Instance:
    given = {
        "uuid": UUID,
        "host": "host1",
        "vm_state": states.Vm.ACTIVE,
        "power_state": RUNNING,
        "launched_at": NOW,
        "created_at": NOW,
    }
    return servers.create(tx, factories.instance(**{**given, **values}))


def look(tx, settled: float = 20, now: datetime.datetime = LATER) -> list[findings.Finding]:
    return findings.look(tx, now, 30, settled)


def kinds(found: list[findings.Finding]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.host, one.subject) for one in found]


def test_a_guest_where_it_should_be_is_no_finding(database):
    with database.write() as tx:
        report(tx, "host1", seen())
        server(tx)

        assert [] == look(tx)


@pytest.mark.parametrize(
    ("recorded", "power", "word"),
    [
        ({}, OFF, "shutdown"),
        ({}, int(states.Power.PAUSED), "paused"),
        ({"vm_state": states.Vm.STOPPED, "power_state": OFF}, RUNNING, "running"),
        ({"power_state": 0}, RUNNING, "running"),
    ],
)
def test_a_power_state_that_is_not_recorded_is_found(database, recorded, power, word):
    with database.write() as tx:
        report(tx, "host1", seen(power))
        server(tx, **recorded)

        (found,) = look(tx)

    assert (findings.POWER, UUID, power) == (found.kind, found.subject, found.power)
    assert f"is {word} on host1; recorded was" in found.sentence


def test_half_a_guest_says_nothing_of_its_power(database):
    with database.write() as tx:
        report(tx, "host1", seen(int(states.Power.NOSTATE)))
        server(tx)

        assert [] == look(tx)


def test_a_guest_that_its_host_does_not_know_is_missing(database):
    with database.write() as tx:
        report(tx, "host1")
        server(tx)

        (found,) = look(tx)

    assert (findings.MISSING, "host1") == (found.kind, found.host)
    assert "host1 has no such guest" in found.sentence


@pytest.mark.parametrize("values", [{"vm_state": states.Vm.ERROR}, {"task_state": "deleting"}])
def test_a_server_without_a_guest_to_be_is_not_missed(database, values):
    with database.write() as tx:
        report(tx, "host1")
        server(tx, **values)

        assert [] == look(tx)


def test_a_guest_without_a_server_is_unknown(database):
    with database.write() as tx:
        report(tx, "host1", seen(), seen(uuid=OTHER))
        server(tx)
        servers.change(tx, UUID, vm_state=states.Vm.DELETED, host=None)

        found = look(tx)

    assert [(findings.UNKNOWN, "host1", UUID), (findings.UNKNOWN, "host1", OTHER)] == kinds(found)
    assert ["was deleted" in found[0].sentence, "is in no record" in found[1].sentence] == [
        True,
        True,
    ]


def test_a_guest_on_another_host_is_told_with_what_its_own_has(database):
    with database.write() as tx:
        report(tx, "host1", seen(OFF))
        report(tx, "host2", seen())
        server(tx, vm_state=states.Vm.STOPPED, power_state=OFF)

        (twice,) = look(tx)
        report(tx, "host1")
        missing, elsewhere = look(tx)

    assert (findings.TWICE, "host2") == (twice.kind, twice.host)
    assert "has it too (shutdown)" in twice.sentence
    assert (findings.MISSING, findings.ELSEWHERE) == (missing.kind, elsewhere.kind)
    assert "host1, where it is by the records, reports none" in elsewhere.sentence


def test_what_has_just_changed_is_left_out(database):
    """The report may have been measured before."""
    soon = NOW + datetime.timedelta(seconds=10)
    with database.write() as tx:
        report(tx, "host1", seen(OFF), at=soon)
        server(tx)

        assert [] == look(tx, settled=20, now=soon)
        assert [(findings.POWER, "host1", UUID)] == kinds(look(tx, settled=5, now=soon))


def test_a_server_on_its_way_is_left_out(database):
    with database.write() as tx:
        report(tx, "host1", seen(OFF))
        report(tx, "host2", seen())
        server(tx)
        moves.create(tx, factories.migration(instance_uuid=UUID))

        assert [] == look(tx)


def test_a_host_that_is_down_has_no_say(database):
    with database.write() as tx:
        report(tx, "host1", at=NOW)
        server(tx)

        assert [] == look(tx)


def test_only_the_hosts_asked_for_are_looked_at(database):
    with database.write() as tx:
        report(tx, "host1")
        report(tx, "host2", seen(uuid=OTHER))
        server(tx)

        found = findings.look(tx, LATER, 30, 20, ["host2"])

    assert [(findings.UNKNOWN, "host2", OTHER)] == kinds(found)


def test_a_host_that_promised_too_much_is_told_by_how_much(database):
    with database.write() as tx:
        report(tx, "host1")
        claims.claim(tx, "host1", "vm", {claims.MEMORY_MB: 4000, claims.VCPU: 4})
        hosts.report(tx, factories.node("host1", uuid="host1", memory_mb=3800, vcpus=3))

        (found,) = look(tx)

    assert findings.OVER_PROMISED == found.kind
    assert "host1 is over-promised: vCPUs 1, memory 200 MiB" == found.sentence


def test_a_wrong_sum_is_counted_anew(database):
    with database.write() as tx:
        report(tx, "host1")
        report(tx, "host2")
        claims.claim(tx, "host1", "vm", {claims.MEMORY_MB: 96})
        tx.run(tables.INVENTORY.update().values(used=7))

        wrong = findings.miscounted(tx)
        first = findings.recount(tx, "host1")

        assert {"host1", "host2"} == {one.host for one in wrong}
        assert {"host1"} == {one.host for one in first}
        assert {"host2"} == {one.host for one in findings.miscounted(tx)}
        assert 96 == claims.inventory(tx, "host1")["host1"][claims.MEMORY_MB].used
        assert [] == findings.recount(tx, "host1")

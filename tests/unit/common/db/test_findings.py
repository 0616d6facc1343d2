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


def test_a_guest_that_waits_to_be_confirmed_is_looked_at(database):
    """It runs at its destination, and its power is followed; what it waits for stays."""
    with database.write() as tx:
        report(tx, "host1")
        report(tx, "host2", seen(OFF))
        server(tx, host="host2", vm_state=states.Vm.RESIZED)
        moves.create(
            tx,
            factories.migration(
                instance_uuid=UUID,
                type=states.Kind.RESIZE,
                status=states.Move.FINISHED,
                destination="host2",
            ),
        )

        (power,) = look(tx)
        report(tx, "host2")
        (missing,) = look(tx)

    assert (findings.POWER, "host2", OFF) == (power.kind, power.host, power.power)
    assert states.Vm.RESIZED == findings.observed(states.Vm.RESIZED, states.Power(OFF))
    assert (findings.MISSING, "host2") == (missing.kind, missing.host)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"vcpus": 2}, "has 2 vCPUs on host1, its flavor says 1 vCPUs"),
        ({"memory_mb": 1024}, "has 1024 MiB on host1, its flavor says 512 MiB"),
        ({"disk_gb": 5, "vcpus": 1}, "has 5 GiB on host1, its flavor says 1 GiB"),
    ],
)
def test_a_guest_of_another_size_than_its_flavor_is_told(database, sizes, words):
    with database.write() as tx:
        report(tx, "host1", seen().replace(**sizes))
        server(tx)

        (found,) = look(tx)

    assert (findings.SIZE, "host1", UUID) == (found.kind, found.host, found.subject)
    assert words in found.sentence


def test_the_image_decides_on_a_disk_of_which_the_flavor_says_nothing(database):
    with database.write() as tx:
        report(tx, "host1", seen().replace(vcpus=1, memory_mb=512, disk_gb=5))
        server(tx, flavor=factories.flavor(root_gb=0))

        assert [] == look(tx)


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


def test_a_guest_that_nobody_knows_takes_room(database):
    """As a foreign one does; not while its server was deleted a moment ago."""
    stranger = seen(uuid=OTHER).replace(vcpus=1, memory_mb=96, disk_gb=3)
    with database.write() as tx:
        server(tx)
        report(tx, "host1", seen(), stranger)
        first = taken(tx)
        server(tx, uuid=OTHER)
        servers.change(tx, OTHER, vm_state=states.Vm.DELETED, terminated_at=tx.now())
        hosts.recount(tx, "host1", settled=60)
        second = taken(tx)
        tx.run(tables.SERVERS.update().values(terminated_at=NOW - datetime.timedelta(seconds=61)))
        hosts.recount(tx, "host1", settled=60)
        (found,) = look(tx)

        assert [(1, 96, 3), (0, 0, 0), (1, 96, 3)] == [first, second, taken(tx)]
        assert "1 vCPUs, 96 MiB, 3 GiB count as taken by it" in found.sentence


def taken(tx) -> tuple[int, ...]:
    """Give what is taken on host1 beside what is promised."""
    found = claims.inventory(tx, "host1")["host1"]
    return tuple(found[kind].foreign for kind in (claims.VCPU, claims.MEMORY_MB, claims.DISK_GB))


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

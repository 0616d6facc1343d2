import contextlib
import functools

import pytest

from common import errors
from common import states
from common.db import aggregates
from common.db import claims
from common.db import hosts
from common.db import rooms
from common.db import servers
from common.db import zones
from tests import factories
from tests import races

ROUNDS = 6


@pytest.fixture
def fleet(database):
    """Two hosts of zone nova, both with room for four cores."""
    with database.write() as tx:
        for name in ("host1", "host2"):
            hosts.report(tx, factories.node(name))
    return database


def make(tx, name="rack", zone=None, **metadata):
    made = factories.aggregate(name=name, availability_zone=zone, metadata=metadata)
    return aggregates.create(tx, made).id


def guest(tx, host="host1", **values):
    return servers.create(tx, factories.instance(host=host, vm_state=states.Vm.ACTIVE, **values))


def capacity(tx, host="host1"):
    return claims.inventory(tx, host)[host][claims.VCPU].capacity


def test_an_aggregate_is_given_as_it_was_made(fleet):
    with fleet.write() as tx:
        number = make(tx, zone="west", ssd="true")
        aggregates.add_host(tx, number, "host2")
        found = aggregates.add_host(tx, number, "host1")

        assert ["host1", "host2"] == found.hosts
        assert ("rack", "west", {"ssd": "true"}) == (
            found.name,
            found.availability_zone,
            found.metadata,
        )
        assert [found] == aggregates.all(tx)


def test_a_name_is_taken_once(fleet):
    with fleet.write() as tx:
        make(tx)
        other = make(tx, name="other")

        with pytest.raises(errors.Exists, match="rack"):
            make(tx)
        with pytest.raises(errors.Exists, match="rack"):
            aggregates.change(tx, other, {"name": "rack"})


def test_what_does_not_exist_is_named(fleet):
    with fleet.write() as tx:
        number = make(tx)

        with pytest.raises(errors.AggregateNotFound, match="aggregate 99"):
            aggregates.get(tx, 99)
        with pytest.raises(errors.HostNotFound, match="host9"):
            aggregates.add_host(tx, number, "host9")
        with pytest.raises(errors.AggregateNotFound, match="rack has no host host1"):
            aggregates.remove_host(tx, number, "host1")


def test_a_host_is_in_an_aggregate_once(fleet):
    with fleet.write() as tx:
        number = make(tx)
        aggregates.add_host(tx, number, "host1")

        with pytest.raises(errors.Exists, match="host1"):
            aggregates.add_host(tx, number, "host1")


def test_only_an_empty_aggregate_is_deleted(fleet):
    with fleet.write() as tx:
        number = make(tx)
        aggregates.add_host(tx, number, "host1")

        with pytest.raises(errors.Invalid, match="remove them first"):
            aggregates.delete(tx, number)

        aggregates.remove_host(tx, number, "host1")
        aggregates.delete(tx, number)
        assert [] == aggregates.all(tx)


def test_metadata_is_set_and_taken_out(fleet):
    with fleet.write() as tx:
        number = make(tx, ssd="true", rack="7")

        found = aggregates.describe(tx, number, {"ssd": None, "gpu": "yes"})

    assert {"rack": "7", "gpu": "yes"} == found.metadata


# ---- zones ----


def test_a_zone_of_an_aggregate_goes_before_the_configured_one(fleet):
    with fleet.write() as tx:
        aggregates.add_host(tx, make(tx, zone="west"), "host1")
        found = hosts.all(tx, factories.NOW, 30)

        assert ["west", "nova"] == [host.availability_zone for host in found]
        assert "west" == hosts.get(tx, "host1", factories.NOW, 30).availability_zone
        assert ["west", "nova"] == [room.zone for room in rooms.read(tx, factories.NOW, 30)]


def test_a_host_is_not_in_two_zones(fleet):
    """Neither by being added, nor by a zone given to an aggregate afterwards."""
    with fleet.write() as tx:
        aggregates.add_host(tx, make(tx, zone="west"), "host1")
        east = make(tx, name="other", zone="east")
        plain = make(tx, name="plain")
        aggregates.add_host(tx, plain, "host1")

    with pytest.raises(errors.ZoneConflict, match="east by aggregate other"), fleet.write() as tx:
        aggregates.add_host(tx, east, "host1")
    with pytest.raises(errors.ZoneConflict, match="west by aggregate rack"), fleet.write() as tx:
        aggregates.change(tx, plain, {"availability_zone": "east"})


def test_two_zones_for_one_host_at_once_are_one(fleet):
    """Two aggregates take the host in the same moment: one gets it."""
    with fleet.write() as tx:
        numbers = [make(tx, name=zone, zone=zone) for zone in ("west", "east")]

    def add(number):
        try:
            with fleet.write() as tx:
                aggregates.add_host(tx, numbers[number], "host1")
        except errors.ZoneConflict:
            return "refused"
        return "added"

    assert ["added", "refused"] == sorted(races.race(add, 2))


def test_a_host_keeps_the_zone_that_its_servers_belong_to(fleet):
    with fleet.write() as tx:
        west = make(tx, zone="west")
        bound = guest(tx, pinned_zone="nova")

    with pytest.raises(errors.ZoneConflict, match=bound.uuid), fleet.write() as tx:
        aggregates.add_host(tx, west, "host1")
    with fleet.read() as tx:
        assert "nova" == zones.of(tx, "host1")


def test_room_claimed_for_a_server_of_the_zone_counts_like_the_server(fleet):
    """A guest on its way must not arrive outside of its zone."""
    with fleet.write() as tx:
        west = make(tx, zone="west")
        coming = guest(tx, host="host2", pinned_zone="nova")
        claims.claim(tx, "host1", coming.uuid, {claims.VCPU: 1})

    with pytest.raises(errors.ZoneConflict, match=coming.uuid), fleet.write() as tx:
        aggregates.add_host(tx, west, "host1")


def test_a_claim_in_a_zone_and_a_host_that_leaves_it_never_both_succeed(fleet):
    """Whoever locks the host first is seen by the other."""
    with fleet.write() as tx:
        west = make(tx, zone="west")
        coming = [guest(tx, host="host2", pinned_zone="nova") for _ in range(ROUNDS)]

    def claim(server: str) -> None:
        with fleet.write() as tx:
            guards = [lambda tx, host: zones.guard(tx, "nova", host)]
            claims.claim(tx, "host1", server, {claims.VCPU: 1}, guards)

    def leave(_server: str) -> None:
        with fleet.write() as tx:
            aggregates.add_host(tx, west, "host1")

    for server in coming:
        won = races.race(functools.partial(one_of, (claim, leave), server.uuid), times=2)
        assert 1 == won.count(True)
        with fleet.write() as tx:
            claims.release(tx, server.uuid)
            with contextlib.suppress(errors.AggregateNotFound):
                aggregates.remove_host(tx, west, "host1")


def one_of(acts, server: str, number: int) -> bool:
    """Do one of the acts, and tell whether it was not refused."""
    try:
        acts[number](server)
    except errors.Conflict:
        return False
    return True


def test_servers_without_a_zone_go_along_with_their_host(fleet):
    with fleet.write() as tx:
        free = guest(tx, availability_zone="nova")
        number = make(tx)
        aggregates.add_host(tx, number, "host1")
        aggregates.change(tx, number, {"availability_zone": "west"})

        assert "west" == servers.get(tx, free.uuid).availability_zone


def test_a_zone_may_change_to_the_one_that_servers_ask_for(fleet):
    """What was forced out of its zone gets back into it."""
    with fleet.write() as tx:
        guest(tx, pinned_zone="west", availability_zone="nova")

        aggregates.add_host(tx, make(tx, zone="west"), "host1")

        assert "west" == zones.of(tx, "host1")


# ---- ratios ----


def test_the_lowest_ratio_of_its_aggregates_holds_for_a_host(fleet):
    with fleet.write() as tx:
        high = make(tx, cpu_allocation_ratio="16")
        low = make(tx, name="low", cpu_allocation_ratio="2.0")
        aggregates.add_host(tx, high, "host1")
        with_one = capacity(tx)
        aggregates.add_host(tx, low, "host1")

        assert (64, 8) == (with_one, capacity(tx))


def test_a_report_does_not_undo_the_ratio_of_an_aggregate(fleet):
    with fleet.write() as tx:
        number = make(tx, cpu_allocation_ratio="2")
        aggregates.add_host(tx, number, "host1")
        hosts.report(tx, factories.node("host1", cpu_allocation_ratio=3.0))

        assert 8 == capacity(tx)


def test_without_the_aggregate_the_hosts_own_ratio_holds_again(fleet):
    with fleet.write() as tx:
        number = make(tx)
        aggregates.add_host(tx, number, "host1")
        aggregates.describe(tx, number, {"cpu_allocation_ratio": "2"})
        raised = capacity(tx)
        aggregates.describe(tx, number, {"cpu_allocation_ratio": None})

        assert (8, 4) == (raised, capacity(tx))


@pytest.mark.parametrize("word", ["many", "0", "-1", "inf", "nan", ""])
def test_a_ratio_must_be_a_number(fleet, word):
    with pytest.raises(errors.Invalid, match="ram_allocation_ratio"), fleet.write() as tx:
        make(tx, ram_allocation_ratio=word)


def test_a_claim_holds_to_the_ratio_of_the_aggregate(fleet):
    with fleet.write() as tx:
        number = make(tx, cpu_allocation_ratio="0.5")
        aggregates.add_host(tx, number, "host1")

        with pytest.raises(errors.NoRoom, match="2 free of 2"):
            claims.claim(tx, "host1", "vm", {claims.VCPU: 3})

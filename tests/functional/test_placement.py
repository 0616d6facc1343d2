"""Zones, aggregates, server groups and hints, with all services and simulated hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from common import context
from common import errors
from common import ids
from common import objects
from common import states
from common.db import aggregates
from common.db import claims
from tests import factories
from tests import invariants
from tests import races
from tests import stage as stages

ZONES = {"west": ["host1", "host2"], "east": ["host3", "host4"]}
HOSTS = [host for hosts in ZONES.values() for host in hosts]
ADMIN = context.admin()
MOVES = 50
SIZES = ("small", "large")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[stages.Stage]:
    """Four hosts in two zones, which aggregates make."""
    folder = tmp_path_factory.mktemp("zones")
    # The best host, not one of the best few: wishes are then what decides. Nobody minds the pace.
    options: dict[str, Any] = {"scheduler.host_subset_size": 1, "simulated.rate": 10000000.0}
    with stages.running(folder, hosts=HOSTS, **options) as stage:
        for zone, hosts in ZONES.items():
            aggregate(stage, hosts, name=zone, availability_zone=zone)
        yield stage


@pytest.fixture
def stage(cluster) -> Iterator[stages.Stage]:
    """Give empty hosts; every invariant must hold at the end."""
    yield cluster
    try:
        invariants.hold(cluster)
    finally:
        cluster.clear()
    assert {} == cluster.everything_held()


@pytest.fixture
def sizes(stage) -> Iterator[list[objects.Flavor]]:
    """Give two flavors that a server may change between."""
    made = [
        factories.flavor(id=name, name=name, memory_mb=64 * (number + 1))
        for number, name in enumerate(SIZES)
    ]
    for flavor in made:
        stage.conductor.create_flavor(ADMIN, flavor)
    yield made
    for flavor in made:
        stage.conductor.delete_flavor(ADMIN, flavor.id)


def aggregate(stage, hosts, **values: object) -> int:
    """Make an aggregate of these hosts, and give its number."""
    made = stage.conductor.create_aggregate(ADMIN, factories.aggregate(**values))
    for host in hosts:
        stage.conductor.add_aggregate_host(ADMIN, made.id, host)
    return int(made.id)


def group(stage, policy: states.Affinity, **rules: int) -> str:
    """Make a server group."""
    made = factories.server_group(policy=policy, rules=rules)
    return str(stage.conductor.create_server_group(ADMIN, made).uuid)


def boot(stage: stages.Stage, **values: Any) -> objects.Instance:
    """Give a server that runs where the scheduler wants it, or as it is told."""
    return stage.boot(**{"requested_host": None, **values})


def zone_of(host: str | None) -> str:
    return next(zone for zone, hosts in ZONES.items() if host in hosts)


def live(stage, server: str) -> None:
    """Move a server anywhere, live."""
    move = stage.ended(stage.migrate(server))
    assert states.Move.COMPLETED == move.status, move.error_message


def cold(stage, server: str, flavor: str | None = None) -> None:
    """Move a server anywhere, its guest off meanwhile."""
    move = stage.ended(stage.relocate(server, flavor=flavor, auto_confirm=True))
    assert states.Move.CONFIRMED == move.status, move.error_message


def resize(stage, server: str) -> None:
    """Give a server the other of two sizes, wherever there is room for it."""
    now = stage.server(server).flavor.id
    cold(stage, server, next(size for size in SIZES if size != now))


def fill(stage, zone: str, spare: int) -> None:
    """Take the memory of a zone's hosts but for this, in MiB."""
    for host in ZONES[zone]:
        with stage.database.read() as tx:
            free = claims.inventory(tx, host)[host][claims.MEMORY_MB].free
        boot(stage, memory_mb=free - spare, requested_host=host)


WAYS = (resize, cold, live)


# ---- zones ----


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_move_leaves_the_zone_that_a_server_landed_in(stage, sizes):
    """Created with no zone, resized and migrated fifty times, it never leaves.

    Its zone has room for it and no more, the other one is empty.
    """
    server = boot(stage, flavor=sizes[0])
    zone = zone_of(server.host)
    fill(stage, zone, 2 * sizes[1].memory_mb)
    been = []
    for number in range(MOVES):
        WAYS[number % len(WAYS)](stage, server.uuid)
        been.append(stage.idle(server.uuid).host)

    assert {zone} == {zone_of(host) for host in been}
    assert ZONES[zone] == sorted(set(been))
    assert (zone, zone) == (
        stage.server(server.uuid).availability_zone,
        stage.server(server.uuid).pinned_zone,
    )


@pytest.mark.parametrize("way", [live, cold, resize])
def test_a_move_is_refused_rather_than_leave_a_full_zone(stage, sizes, way):
    """With both reasons: what the zone lacks, and that the others are outside."""
    server = boot(stage, flavor=sizes[0], requested_host="host1")
    fill(stage, "west", 0)

    with pytest.raises(errors.NoValidHost) as caught:
        way(stage, server.uuid)

    assert "host2: RamFilter: needs" in caught.value.message
    assert all(f"{host}: AvailabilityZoneFilter" in caught.value.message for host in ZONES["east"])
    after = stage.idle(server.uuid)
    assert ("host1", "west", states.Vm.ACTIVE) == (after.host, after.pinned_zone, after.vm_state)


def test_servers_that_press_for_room_at_once_do_not_leave_their_zone(stage, sizes):
    """Six of them want to move in three ways, and there is room for half of them."""
    servers = [boot(stage, flavor=sizes[0], requested_host="host1").uuid for _ in range(6)]
    fill(stage, "west", 3 * sizes[1].memory_mb)

    def move(number: int) -> str:
        try:
            WAYS[number % len(WAYS)](stage, servers[number])
        except errors.NoValidHost as none:
            return none.message
        return "moved"

    told = races.race(move, len(servers))

    assert {"west"} == {zone_of(stage.idle(uuid).host) for uuid in servers}
    assert "moved" in told
    assert all("AvailabilityZoneFilter" in said for said in told if said != "moved")


@pytest.mark.parametrize("zone", ["east", "any"])
@pytest.mark.parametrize("action", ["migrate", "resize"])
def test_a_cold_move_that_says_so_leaves_the_zone_for_good(stage, sizes, action, zone):
    """By the key beside Nova's own, as a live one does."""
    server = boot(stage, flavor=sizes[0], requested_host="host1")
    fill(stage, "west", 0)
    more = {"flavorRef": SIZES[1]} if action == "resize" else {}
    asked = {action: {**more, "whimbrel:zone": zone, "whimbrel:confirm": True}}

    answer = requests.post(
        f"{stage.endpoint}/v2.1/servers/{server.uuid}/action",
        json=asked,
        headers={"OpenStack-API-Version": "compute 2.96"},
        timeout=10,
    )

    assert answer.ok, answer.text
    (move,) = [one for one in stage.moves() if one.instance_uuid == server.uuid]
    assert states.Move.CONFIRMED == stage.ended(move.uuid).status
    after = stage.idle(server.uuid)
    assert ("east", "east") == (after.availability_zone, after.pinned_zone)
    assert "east" == zone_of(after.host)


def test_a_host_in_another_zone_is_refused_with_the_way_out(stage):
    server = boot(stage, requested_host="host1")

    with pytest.raises(errors.HostUnsuitable, match=r"host3 is in availability zone east.*--zone"):
        stage.migrate(server.uuid, "host3")
    with pytest.raises(errors.HostUnsuitable, match="zone west is asked for"):
        move_to(stage, server.uuid, "host3", "west")
    assert stage.server(server.uuid).task_state is None


@pytest.mark.parametrize(("host", "zone"), [("host3", "any"), ("host3", "east"), (None, "east")])
def test_a_move_that_says_so_leaves_the_zone_for_good(stage, host, zone):
    """From then on the server belongs to where it went."""
    server = boot(stage, requested_host="host1")

    stage.ended(move_to(stage, server.uuid, host, zone))
    live(stage, server.uuid)

    after = stage.idle(server.uuid)
    assert ("east", "east") == (after.availability_zone, after.pinned_zone)
    assert "east" == zone_of(after.host)


def test_a_dry_run_speaks_of_zones_too(stage):
    """The filter fails what is outside, unless the wish allows it."""
    server = boot(stage, requested_host="host1")

    assert {"host2": "pass", "host3": "fail", "host4": "fail"} == zones_checked(stage, server)
    assert {"host2": "pass", "host3": "pass", "host4": "pass"} == zones_checked(
        stage, server, zone="any"
    )


def test_a_zone_is_not_taken_from_servers(stage):
    server = boot(stage, requested_host="host1")
    other = stage.conductor.create_aggregate(ADMIN, factories.aggregate(name=ids.new()))

    with pytest.raises(errors.ZoneConflict, match=r"host1 .*west"):
        stage.conductor.remove_aggregate_host(ADMIN, number(stage, "west"), "host1")
    stage.conductor.add_aggregate_host(ADMIN, other.id, "host1")
    with pytest.raises(errors.ZoneConflict, match="north"):
        stage.conductor.update_aggregate(ADMIN, other.id, {"availability_zone": "north"})

    stage.conductor.remove_aggregate_host(ADMIN, other.id, "host1")
    assert "west" == stage.server(server.uuid).pinned_zone


def test_a_zone_that_is_asked_for_is_kept(stage):
    assert "east" == zone_of(boot(stage, availability_zone="east").host)


# ---- aggregates ----


def test_a_flavor_finds_the_aggregate_that_it_asks_for(stage):
    mark = aggregate(stage, ["host4"], name="fast", metadata={"ssd": "true"})
    flavor = factories.flavor(
        memory_mb=64, extra_specs={"aggregate_instance_extra_specs:ssd": "true"}
    )

    found = boot(stage, flavor=flavor)

    assert "host4" == found.host
    forget(stage, mark, "host4")


def test_an_aggregate_lowers_what_its_host_promises(stage):
    """Though others ask at the same moment, the claim counts with the aggregate's ratio."""
    mark = aggregate(stage, ["host2"], name="exact", metadata={"cpu_allocation_ratio": "0.25"})
    with stage.database.read() as tx:
        room = claims.inventory(tx, "host2")["host2"][claims.VCPU].capacity

    def make(_number: int) -> str:
        flavor = factories.flavor(memory_mb=1, vcpus=1)
        return str(stage.create(flavor=flavor, requested_host="host2").uuid)

    made = [stage.idle(uuid) for uuid in races.race(make, room + 2)]

    assert room == sum(server.vm_state == states.Vm.ACTIVE for server in made)
    forget(stage, mark, "host2")


# ---- groups and hints ----


def test_servers_created_at_once_stay_apart(stage):
    """One host each, and the one too many says why."""
    apart = group(stage, states.Affinity.APART)
    made = racing(stage, len(HOSTS) + 1, {"group": [apart]})
    running = [server for server in made if server.vm_state == states.Vm.ACTIVE]
    (failed,) = [server for server in made if server.vm_state == states.Vm.ERROR]

    assert sorted(HOSTS) == sorted(str(server.host) for server in running)
    assert "is to stay apart" in str(failed.fault_message)


def test_servers_created_at_once_stay_together(stage):
    close = group(stage, states.Affinity.TOGETHER)

    made = racing(stage, 4, {"group": [close]})

    assert 1 == len({server.host for server in made})
    assert {states.Vm.ACTIVE} == {server.vm_state for server in made}


def test_moves_at_once_do_not_meet(stage):
    """Two of a group that is to be apart want the same free host: one gets it."""
    apart = group(stage, states.Affinity.APART)
    first = boot(stage, requested_host="host1", hints={"group": [apart]})
    second = boot(stage, requested_host="host3", hints={"group": [apart]})

    def move(number: int) -> str:
        server = (first, second)[number]
        try:
            uuid = move_to(stage, server.uuid, "host2", "any")
        except errors.Error as refused:
            return refused.message
        return str(stage.ended(uuid).status)

    told = races.race(move, 2)

    assert 1 == told.count(states.Move.COMPLETED), told
    assert any("is to stay apart" in said for said in told)
    assert 2 == len({stage.idle(server.uuid).host for server in (first, second)})


def test_a_member_of_a_group_that_is_together_does_not_leave_alone(stage):
    close = group(stage, states.Affinity.TOGETHER)
    first = boot(stage, hints={"group": [close]})
    boot(stage, hints={"group": [close]})

    with pytest.raises(errors.NoValidHost, match=f"others of it are on {first.host}"):
        stage.migrate(first.uuid)


@pytest.mark.parametrize(("hint", "same"), [("same_host", True), ("different_host", False)])
def test_a_hint_holds_for_creation_and_for_moves(stage, hint, same):
    first = boot(stage, requested_host="host1")

    second = boot(stage, hints={hint: [first.uuid]}, availability_zone="west")

    assert same == (first.host == second.host)
    with pytest.raises(errors.NoValidHost, match=hint):
        stage.migrate(second.uuid)


def test_a_soft_policy_is_a_wish_only(stage):
    """Five servers on four hosts: as far apart as can be."""
    apart = group(stage, states.Affinity.SOFT_APART)
    found = [boot(stage, hints={"group": [apart]}).host for _ in range(len(HOSTS) + 1)]

    assert len(HOSTS) == len(set(found[: len(HOSTS)]))


def racing(stage, times: int, hints: dict[str, list[str]]) -> list[objects.Instance]:
    """Create servers at once, and give them as they ended."""
    made = races.race(
        lambda _number: stage.create(requested_host=None, hints=hints).uuid, times=times
    )
    return [stage.idle(uuid) for uuid in made]


def move_to(stage, server: str, host: str | None, zone: str) -> str:
    """Begin a live migration that may leave the zone."""
    begun = stage.conductor.live_migrate(
        ADMIN,
        server,
        host,
        block_migration=None,
        disk_over_commit=False,
        policy={},
        wait=True,
        zone=zone,
    )
    return str(begun.uuid)


def zones_checked(stage, server: objects.Instance, zone: str | None = None) -> dict[str, str]:
    """Give what the zone's filter says of each host."""
    found = stage.conductor.check_migrate(
        ADMIN, server.uuid, None, block_migration=None, disk_over_commit=False, zone=zone
    )
    return {
        result.host: result.verdict for result in found if result.name == "AvailabilityZoneFilter"
    }


def forget(stage, aggregate: int, host: str) -> None:
    """Take an aggregate away again."""
    stage.conductor.remove_aggregate_host(ADMIN, aggregate, host)
    stage.conductor.delete_aggregate(ADMIN, aggregate)


def number(stage, name: str) -> int:
    """Give the number of an aggregate."""
    with stage.database.read() as tx:
        return next(one.id or 0 for one in aggregates.all(tx) if one.name == name)

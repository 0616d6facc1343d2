"""What hosts measure decides where guests go, and what they see is followed."""

import contextlib
from collections.abc import Iterator

import pytest
import requests

from common import clock as clocks
from common import context
from common import errors
from common import objects
from common import states
from common.config import load
from common.db import claims
from rpc import bus as buses
from services.compute import concurrency
from services.compute import process
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world as worlds
from tests import factories
from tests import waiting

GIB = 1 << 30
HOSTS = ("host1", "host2", "host3")


@pytest.fixture
def stage(stage):
    """Hosts that have told that they are empty, and have nothing but guests when the test ends."""
    for name in HOSTS:
        told(stage, name, "disk_available_least", 200)
    yield stage
    for name in HOSTS:
        host = stage.world.host(name)
        host.free_bytes, host.foreign = None, []


def shown(stage, host):
    """Give a host as the API shows it."""
    answer = requests.get(f"{stage.endpoint}/v2.1/whimbrel/hosts/{host}", timeout=10)
    assert answer.ok, answer.text
    return answer.json()["host"]


def told(stage, host, name, value):
    """Wait until a host has told this of itself, and give all that it shows."""
    found = {}

    def known():
        found.update(shown(stage, host))
        return found[name] == value

    waiting.until(known, f"{name} of {host} is {value}", 20)
    return found


def fill(stage, host, free):
    """Have other data leave so many bytes of a host's disk."""
    stage.world.host(host).free_bytes = free


def beaten(stage):
    """Wait until every host has reported three times."""
    counts = {name: stage.service(name).report_count for name in HOSTS}
    waiting.until(
        lambda: all(stage.service(name).report_count > counts[name] + 2 for name in HOSTS),
        "every host has reported three times",
        20,
    )


def refused(stage, server, host, **more):
    with pytest.raises(errors.NoValidHost) as caught:
        stage.migrate(server.uuid, host, **more)
    return str(caught.value)


def test_copies_stay_away_from_a_disk_that_may_be_outgrown(stage):
    """The negative number has its reason, naming the host does not help, and others are taken."""
    there = stage.boot(requested_host="host2")
    server = stage.boot()
    fill(stage, "host2", GIB // 2)

    host2 = told(stage, "host2", "disk_available_least", -1)
    words = refused(stage, server, "host2", block_migration=True)
    move = stage.migrate(server.uuid)

    assert [there.uuid] == [disk["instance_uuid"] for disk in host2["usage"]["disks"]]
    assert "DiskLeastFilter: needs 1 GB, -1 GB left for new disks" in words
    assert ("completed", "host3") == (stage.ended(move).status, stage.move(move).destination)


def test_cold_moves_stay_away_from_a_disk_that_may_be_outgrown(stage):
    """Named or not; and the disks are promises where the guest arrives."""
    server = stage.boot(flavor=factories.flavor(vcpus=1, memory_mb=100, root_gb=7))
    fill(stage, "host2", 6 * GIB)
    told(stage, "host2", "disk_available_least", 6)

    with pytest.raises(errors.NoValidHost, match="DiskLeastFilter: needs 7 GB, 6 GB left"):
        stage.relocate(server.uuid, "host2")
    move = stage.relocate(server.uuid)

    assert "finished" == stage.reached(move, "finished").status
    assert "host3" == stage.server(server.uuid).host
    host3 = told(stage, "host3", "disk_available_least", 193)
    assert [(server.uuid, 7)] == [
        (guest["uuid"], guest["disk_gb"]) for guest in host3["usage"]["guests"]
    ]
    stage.conductor.confirm_resize(context.admin(), server.uuid)
    stage.ended(move)


def test_of_two_cold_moves_that_fit_one_by_one_one_goes(stage):
    """Though the host had told of neither when they were placed; the other one stays."""
    servers = [
        stage.boot(flavor=factories.flavor(vcpus=1, memory_mb=100, root_gb=7)) for _ in range(2)
    ]
    fill(stage, "host2", 10 * GIB)
    told(stage, "host2", "disk_available_least", 10)

    begun = [
        stage.relocate(server.uuid, "host2", auto_confirm=True, wait=False) for server in servers
    ]

    assert ["confirmed", "failed"] == sorted(stage.ended(move).status for move in begun)
    assert ["host1", "host2"] == sorted(stage.idle(server.uuid).host for server in servers)


def test_disk_ratio_of_an_aggregate_holds_on_the_host_too(stage):
    """What the scheduler places by it the host makes; once the number is negative, nothing."""
    made = stage.conductor.create_aggregate(
        context.admin(), factories.aggregate(metadata={"disk_allocation_ratio": "2.0"})
    )
    stage.conductor.add_aggregate_host(context.admin(), made.id, "host2")
    beaten(stage)
    large = factories.flavor(vcpus=1, memory_mb=100, root_gb=150)

    on_two = [stage.boot(flavor=large, requested_host="host2") for _ in range(2)]
    on_one = stage.boot(flavor=large)
    on_two[0] = stage.operate(on_two[0].uuid, "delete")
    told(stage, "host2", "disk_available_least", 50)
    move = stage.ended(stage.migrate(on_one.uuid, "host2"))

    assert "completed" == move.status, move.error_message
    told(stage, "host2", "disk_available_least", -100)
    assert "-100 GB left for new disks" in refused(stage, stage.boot(), "host2")
    stage.conductor.remove_aggregate_host(context.admin(), made.id, "host2")
    stage.conductor.delete_aggregate(context.admin(), made.id)


def test_new_server_stays_away_from_it_too(stage):
    fill(stage, "host1", 0)
    told(stage, "host1", "disk_available_least", 0)

    made = stage.idle(stage.create().uuid)

    assert states.Vm.ERROR == made.vm_state
    assert "needs 1 GB, 0 GB left for new disks" in made.fault_message


def test_guest_that_stops_by_itself_is_recorded_as_stopped(stage):
    server = stage.boot()
    world = stage.world
    waiting.until(
        lambda: (
            [server.uuid] == [each["uuid"] for each in shown(stage, "host1")["usage"]["guests"]]
        ),
        "host1 has told of its guest",
    )
    with world.lock:
        world.host("host1").guests[server.uuid].halt(world.clock.monotonic(), states.Power.SHUTDOWN)

    waiting.until(
        lambda: stage.server(server.uuid).vm_state == states.Vm.STOPPED, "it is recorded", 30
    )

    assert states.Power.SHUTDOWN == stage.server(server.uuid).power_state
    assert states.Vm.ACTIVE == stage.operate(server.uuid, "start").vm_state


def test_foreign_guests_take_room_and_may_leave_a_host_over_promised(stage):
    """Seen at once, and nothing more goes there, until they are gone."""
    stage.boot(memory_mb=2000)
    stage.world.host("host1").foreign = [
        objects.ForeignGuest(uuid="legacy", name="legacy", memory_mb=14000, vcpus=1)
    ]

    host1 = told(stage, "host1", "foreign_memory_mb", 14000)
    small = stage.idle(stage.create(memory_mb=1).uuid)

    assert ({"MEMORY_MB": 128}, 16512) == (host1["over_promised"], host1["memory_mb_used"])
    assert ["host1 is over-promised: memory 128 MiB"] == host1["findings"]
    assert "over-promised: memory 128 MiB" in small.fault_message

    stage.world.host("host1").foreign = []
    told(stage, "host1", "over_promised", {})
    assert states.Vm.ACTIVE == stage.boot().vm_state


@contextlib.contextmanager
def compute(stage, folder, host: str, **options: object) -> Iterator[None]:
    """Run one more compute, of a host whose guests outlive it, with these options of [compute]."""
    given = {f"compute.{name}": value for name, value in options.items()}
    conf = load.private(
        {
            "host": host,
            "transport_url": "fake://",
            "compute.driver": "simulated",
            "image.cache": str(folder),
            "service.heartbeat": 1,
            "simulated.rate": 1000.0,
            **given,
        }
    )
    bus, clock = buses.Bus(conf), clocks.SystemClock()
    made = driver.Driver(conf, stage.world)
    with process.running(conf, bus, made, concurrency.plain(), clock):
        yield
    bus.close()


@pytest.mark.parametrize(
    ("host", "options", "over"),
    [
        ("host4", {"reserved_host_memory_mb": 13384}, 1000),
        ("host5", {"ram_allocation_ratio": 0.2}, 826),
    ],
)
def test_compute_that_starts_with_less_to_promise(stage, tmp_path, caplog, host, options, over):
    """Its guests stay; it is warned of, shown, and given nothing until enough has moved away."""
    with compute(stage, tmp_path, host):
        waiting.until(lambda: host in stage.up(), f"{host} is up")
        guest = stage.boot(2000, requested_host=host)
        stage.boot(2000, requested_host=host)
    elsewhere = stage.boot(1)

    with compute(stage, tmp_path, host, **options):
        there = told(stage, host, "over_promised", {"MEMORY_MB": over})
        listed = requests.get(f"{stage.endpoint}/v2.1/whimbrel/hosts", timeout=10).json()["hosts"]
        words = refused(stage, elsewhere, host)
        anywhere = [stage.boot(1, requested_host=None).host for _ in range(3)]
        moved = stage.ended(stage.migrate(guest.uuid, "host1"))
        told(stage, host, "over_promised", {})
        again = stage.ended(stage.migrate(elsewhere.uuid, host))
        stage.ended(stage.migrate(elsewhere.uuid, "host1"))
        for left in stage.servers():
            if left.host == host:
                stage.operate(left.uuid, "delete")
    stage.mark(host, forced_down=True)

    sentence = f"{host} is over-promised: memory {over} MiB"
    assert f"{sentence}; it gets no more servers" in caplog.text
    assert [sentence] == there["findings"]
    assert [{"MEMORY_MB": over}] == [one["over_promised"] for one in listed if one["host"] == host]
    assert f"OverPromisedFilter: it is over-promised: memory {over} MiB" in words
    assert host not in anywhere
    assert ("completed", "completed") == (moved.status, again.status)


def test_heartbeats_between_changes_carry_nothing(stage):
    """Only a change, or the time, makes a host tell its numbers."""
    beaten(stage)
    before = [shown(stage, name)["updated_at"] for name in HOSTS]
    beaten(stage)

    assert before == [shown(stage, name)["updated_at"] for name in HOSTS]


def test_audit_by_the_api_tells_what_no_record_explains(stage):
    """And puts right what is ours."""
    stranger = factories.instance(run_token="x")
    with stage.world.lock:
        stage.world.host("host2").guests[stranger.uuid] = worlds.Guest(stranger.uuid, "x", 100)
    try:
        waiting.until(
            lambda: stranger.uuid in str(shown(stage, "host2")["usage"]["guests"]),
            "host2 has told of it",
            20,
        )

        answer = requests.post(
            f"{stage.endpoint}/v2.1/whimbrel/hosts/host2/audit", json={}, timeout=10
        )

        assert answer.ok, answer.text
        (found,) = answer.json()["findings"]
        assert ("unknown", stranger.uuid, False) == (
            found["kind"],
            found["subject"],
            found["repaired"],
        )
        assert stranger.uuid in stage.world.host("host2").guests
        assert 100 == shown(stage, "host2")["foreign_memory_mb"]
    finally:
        with stage.world.lock, contextlib.suppress(KeyError):
            del stage.world.host("host2").guests[stranger.uuid]


def test_audit_by_the_api_claims_what_is_needed(stage):
    """A server without its claim, and one with a claim of another size."""
    without, other = stage.boot(), stage.boot()
    with stage.database.write() as tx:
        claims.release(tx, without.uuid)
        claims.put(tx, "host1", other.uuid, {claims.MEMORY_MB: 7})
    before = shown(stage, "host1")["findings"]

    answer = requests.post(f"{stage.endpoint}/v2.1/whimbrel/hosts/host1/audit", json={}, timeout=10)

    assert {("unclaimed", without.uuid, True), ("amount", other.uuid, True)} == {
        (found["kind"], found["subject"], found["repaired"]) for found in answer.json()["findings"]
    }
    assert 2 == len(before)
    assert [] == shown(stage, "host1")["findings"]


def test_audit_of_a_host_that_nobody_knows_is_refused(stage):
    with pytest.raises(errors.HostNotFound, match="host9"):
        stage.conductor.audit(context.admin(), "host9")

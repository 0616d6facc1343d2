"""Fifty simulated hosts of a topology in this process: they report, build and move guests."""

import pathlib

import pytest

from common import clock
from common import context
from common import objects
from common import states
from common.config import load
from common.db import hosts as rows
from common.db import servers
from rpc import bus as buses
from services import together
from services.compute import concurrency
from services.compute.fleet import hosts
from services.compute.fleet import topology
from services.compute.fleet import world as worlds
from tests import factories
from tests import waiting

SAMPLES = pathlib.Path(__file__).parents[2] / "deploy" / "scale"
HOSTS = 50


@pytest.fixture
def services(tmp_path):
    """Everything but computes: they come from the fleet."""
    with together.running(tmp_path, hosts=(), options={"compute.progress_interval": 0.2}) as found:
        yield found


@pytest.fixture
def fleet(services):
    conf = load.private({"transport_url": "fake://", "service.heartbeat": 5, "fleet.starting": 50})
    found = topology.resized(topology.read(str(SAMPLES / "two-zones.yaml")), HOSTS)
    world = worlds.World(clock.SystemClock())
    worlds.furnish(world, found.members(), "")
    bus = buses.Bus(conf)
    running = hosts.running(
        conf, bus, found.members(), world, concurrency.plain(), clock.SystemClock()
    )
    with running:
        yield world
    bus.close()


def nodes(services):
    with services.database.read() as tx:
        return rows.all(tx, now=clock.SystemClock().now(), down_after=30)


@pytest.mark.slow
def test_fleet_carries_guests(services, fleet):
    """Each host reports its own size and zone; a guest is built on one and moved to another."""
    waiting.until(lambda: len(nodes(services)) == HOSTS, "every host has reported")
    found = {node.host: node for node in nodes(services)}
    assert {"north", "south"} == {node.availability_zone for node in found.values()}
    assert (65536, 131072) == (found["n1-01"].memory_mb, found["n2-01"].memory_mb)
    assert all(node.service.up for node in found.values())

    request = objects.NewServer(
        name="vm", flavor=factories.flavor(memory_mb=64), requested_host="s1-01"
    )
    server = services.conductor.create_server(context.admin(), request).uuid
    waiting.until(lambda: fleet.running(server) == ["s1-01"], "the guest runs")
    waiting.until(lambda: _idle(services, server), "the build is reported")
    services.conductor.live_migrate(
        context.admin(),
        server,
        "s2-01",
        block_migration=None,
        disk_over_commit=False,
        policy={},
        wait=True,
    )
    waiting.until(lambda: fleet.running(server) == ["s2-01"], "the guest has moved")
    waiting.until(lambda: _idle(services, server), "the move is over")


def _idle(services, server):
    with services.database.read() as tx:
        row = servers.get(tx, server)
    assert states.Vm.ERROR != row.vm_state, row.fault_message
    return row.task_state is None

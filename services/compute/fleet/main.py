"""whimbrel-fleet: the simulated computes of a topology, thousands of them on greenthreads."""

# The patching comes first: whatever is imported later must find green threads.
import services.compute.green  # noqa: F401 - what it does is what it is for

# isort: split
import sys
from typing import TYPE_CHECKING

from common import clock as clocks
from common import errors
from rpc import broker
from rpc import service
from rpc.bus import Bus
from services.compute import concurrency
from services.compute.fleet import hosts
from services.compute.fleet import member
from services.compute.fleet import topology as topologies
from services.compute.fleet import world as worlds

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-fleet", sys.argv[1:], serve)


def serve(conf: "ConfigOpts") -> None:
    """Run this process's share of the topology's hosts until told to stop."""
    topology = _topology(conf)
    everyone = topology.members()
    own = member.part(everyone, conf.fleet.part, conf.fleet.parts)
    clock = clocks.SystemClock()
    folder = conf.fleet.folder if conf.fleet.parts > 1 else ""
    world = worlds.World(clock, seed=topology.seed, folder=folder, own={host.name for host in own})
    worlds.furnish(world, everyone, folder)
    broker.wait(conf)
    bus = Bus(conf)
    # Nothing of a simulation blocks in C, so greenthreads do for everything.
    with hosts.running(conf, bus, own, world, concurrency.plain(), clock):
        service.until_stopped()
    bus.close()


def _topology(conf: "ConfigOpts") -> topologies.Topology:
    if not conf.fleet.topology:
        raise errors.Invalid("no topology is given; set [fleet] topology to a file")
    if conf.fleet.part > conf.fleet.parts:
        raise errors.Invalid(f"part {conf.fleet.part} of {conf.fleet.parts} cannot be")
    if conf.fleet.parts > 1 and not conf.fleet.folder:
        raise errors.Invalid(
            f"{conf.fleet.parts} processes need a directory to hand guests over; set [fleet] folder"
        )
    found = topologies.read(conf.fleet.topology)
    return topologies.resized(found, conf.fleet.hosts or found.size)

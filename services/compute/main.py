"""whimbrel-compute: an RPC server on greenthreads; eventlet takes over before anything else."""

# The patching comes first: whatever is imported later must find green threads.
import services.compute.green  # noqa: F401 - what it does is what it is for

# isort: split
import sys
from typing import TYPE_CHECKING

from common import clock
from rpc import broker
from rpc import service
from rpc.bus import Bus
from services.compute import concurrency
from services.compute import process
from services.compute.virt import drivers

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-compute", sys.argv[1:], serve)


def serve(conf: "ConfigOpts") -> None:
    """Wait for the broker and the hypervisor, then serve this host until told to stop."""
    broker.wait(conf)
    bus = Bus(conf)
    threads = concurrency.green(process.HANDLERS + conf.compute.threads)
    with process.running(conf, bus, drivers.make(conf), threads, clock.SystemClock()):
        service.until_stopped()
    bus.close()

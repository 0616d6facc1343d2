"""whimbrel-compute: an RPC server on greenthreads; eventlet takes over before anything else."""

# The patching comes first: whatever is imported later must find green threads.
import common  # noqa: F401 - silences eventlet's notice of its own end

import eventlet  # isort: skip

eventlet.monkey_patch()

import sys  # noqa: E402 - after the patching
from typing import TYPE_CHECKING  # noqa: E402 - after the patching

from common import clock  # noqa: E402 - after the patching
from rpc import broker  # noqa: E402 - after the patching
from rpc import service  # noqa: E402 - after the patching
from rpc.bus import Bus  # noqa: E402 - after the patching
from services.compute import concurrency  # noqa: E402 - after the patching
from services.compute import process  # noqa: E402 - after the patching
from services.compute.virt import drivers  # noqa: E402 - after the patching

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-compute", sys.argv[1:], serve)


def serve(conf: "ConfigOpts") -> None:
    """Wait for the broker and the hypervisor, then serve this host until told to stop."""
    broker.wait(conf)
    bus = Bus(conf)
    threads = concurrency.green(conf.compute.threads)
    with process.running(conf, bus, drivers.make(conf), threads, clock.SystemClock()):
        service.until_stopped()
    bus.close()

"""whimbrel-compute: an RPC server on greenthreads; eventlet takes over before anything else."""

# The patching comes first: whatever is imported later must find green threads.
import warnings

# That eventlet will end one day is known: it is named in two modules only.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402 - after the warning is known

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

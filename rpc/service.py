"""The life of a service on native threads: start, serve, report, stop.

A service's module `main` hands its body to `main` here, which gives it its
options and its log. SIGTERM and SIGINT end the body wherever it waits.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import signal
import sys
import threading
from typing import Protocol
from typing import TYPE_CHECKING

from oslo_config import cfg

from common import clock as clocks
from common import context as contexts
from common import errors
from common import ids
from common import log
from common import objects
from common.config import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Generator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from common.clock import Clock
    from rpc import interface
    from rpc.bus import Bus
    from rpc.conductor import Conductor

LOG = logging.getLogger(__name__)


class Numbers(Protocol):
    """What a host has, told with its heartbeats when there is something to tell."""

    changed: threading.Event  # set when the host is to report before its next beat

    def update_available_resource(self) -> objects.ComputeNode | None:
        """Measure the host; gives what is to be told, or None."""

    def told(self, node: objects.ComputeNode | None, ratios: Mapping[str, float]) -> None:
        """Take note that the conductor has it, and which {ratio: value} hold here."""


# Seconds until a report that did not arrive is sent again, by the mean.
SOON = 2.0

# Seconds for which changes that follow each other are gathered into one report.
BURST = 1.0

# The zone of services that run no guests.
INTERNAL = "internal"


def main(program: str, arguments: Sequence[str], body: Callable[[cfg.ConfigOpts], None]) -> int:
    """Run the body of a service until it ends or is told to stop; gives the exit status."""
    try:
        conf = load.load(arguments, program)
    except (cfg.Error, ValueError) as wrong:
        sys.stderr.write(f"{program}: {wrong}\n")
        return 2
    log.start(conf, program)
    # SIGTERM then raises KeyboardInterrupt in the main thread, as SIGINT does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    refusal = _refusal(conf, body)
    if refusal is None:
        LOG.info("%s on %s has stopped", program, conf.host)
        return 0
    LOG.error("%s on %s cannot work: %s", program, conf.host, refusal)
    return 1


def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT, and return."""
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


@contextlib.contextmanager
def serving(  # noqa: PLR0913 - what a service is, wired once in its main
    conf: cfg.ConfigOpts,
    bus: Bus,
    manager: interface.Interface,
    *,
    binary: str,
    threads: int,
    conductor: Conductor,
    zone: str = INTERNAL,
    numbers: Numbers | None = None,
) -> Generator[None]:
    """Answer calls to the manager as this host, and report to the conductor meanwhile.

    At the end calls that have begun are finished. `conductor` is a client,
    or the conductor's own manager. `binary` is the name that clients know the
    service by: nova-scheduler and so on; `numbers` are those of compute's host.
    """
    server = bus.serve(manager, conf.host, threads)
    server.start()
    LOG.info("%s on %s serves %s", binary, conf.host, type(manager).TOPIC)
    try:
        made = objects.Service(
            uuid=ids.new(), host=conf.host, binary=binary, topic=type(manager).TOPIC, zone=zone
        )
        with reporting(conf, conductor, made, numbers):
            yield
    finally:
        server.stop()
        server.wait()
        LOG.info("%s on %s serves no longer", binary, conf.host)


@contextlib.contextmanager
def reporting(
    conf: cfg.ConfigOpts,
    conductor: Conductor,
    service: objects.Service,
    numbers: Numbers | None,
) -> Generator[None]:
    """Send a heartbeat every [service] heartbeat seconds while the block lasts.

    One comes sooner, with the host's numbers, when these have changed.
    """
    stop = threading.Event()
    wake = numbers.changed if numbers is not None else threading.Event()
    clock = clocks.SystemClock()
    rhythm = Rhythm(conf.service.heartbeat, secrets.SystemRandom().random, clock)
    thread = threading.Thread(
        target=_beat,
        args=(rhythm, functools.partial(_report, conductor, service, numbers), stop, wake),
        name=f"{service.binary} heartbeat",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        wake.set()


def _refusal(conf: cfg.ConfigOpts, body: Callable[[cfg.ConfigOpts], None]) -> errors.Error | None:
    try:
        body(conf)
    except errors.Error as refusal:
        return refusal
    except KeyboardInterrupt:
        return None
    return None


class Rhythm:
    """When a service reports next.

    Hosts that have started together, or have all waited for the same broker,
    must not go on reporting together: the first pause after that is a random
    part of the heartbeat, and the following ones are the heartbeat itself.
    """

    def __init__(self, heartbeat: float, chance: Callable[[], float], clock: Clock) -> None:
        """Report at once; `chance` gives a number from 0 to 1."""
        self._heartbeat = heartbeat
        self._chance = chance
        self._clock = clock
        self._settled = False
        self._due = clock.monotonic()

    def rest(self) -> float:
        """Give the seconds until the next report is due."""
        return max(0.0, self._due - self._clock.monotonic())

    def reported(self, *, lost: bool) -> None:
        """Count the pause from now, after a report that is lost or has arrived."""
        self._due = self._clock.monotonic() + self._pause(lost=lost)
        self._settled = not lost

    def _pause(self, *, lost: bool) -> float:
        if lost:
            return SOON * (0.5 + self._chance())
        return self._heartbeat if self._settled else self._heartbeat * self._chance()


def _beat(
    rhythm: Rhythm,
    report: Callable[[bool], bool],
    stop: threading.Event,
    wake: threading.Event,
) -> None:
    while not stop.is_set():
        wake.clear()
        try:
            if report(rhythm.rest() == 0):
                rhythm.reported(lost=False)
        except errors.Error as lost:
            LOG.warning("a report of this service is lost: %s", lost)
            rhythm.reported(lost=True)
        if wake.wait(rhythm.rest()):
            stop.wait(BURST)


def _report(
    conductor: Conductor,
    service: objects.Service,
    numbers: Numbers | None,
    due: bool,
) -> bool:
    """Send one report, or none before it is due when there is no news; tells whether it did."""
    try:
        node = numbers.update_available_resource() if numbers is not None else None
        if node is None and not due:
            return False
        ratios = conductor.report(contexts.admin(), service, node)
        if numbers is not None:
            numbers.told(node, ratios)
    except errors.Error:
        raise
    except Exception as unexpected:
        LOG.exception("the report of %s on %s failed", service.binary, service.host)
        raise errors.RemoteError("it failed unexpectedly") from unexpected
    return True

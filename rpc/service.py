"""The life of a service on native threads: start, serve, report, stop.

A service's module `main` hands its body to `main` here, which gives it its
options and its log. SIGTERM and SIGINT end the body wherever it waits.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING

from oslo_config import cfg

from common import context as contexts
from common import errors
from common import ids
from common import log
from common import objects
from common.config import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Generator
    from collections.abc import Sequence

    from rpc import interface
    from rpc.bus import Bus
    from rpc.conductor import Conductor

LOG = logging.getLogger(__name__)

# Seconds until a report that did not arrive is sent again.
SOON = 2.0


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
    try:
        body(conf)
    except errors.Error as refusal:
        LOG.error("%s on %s cannot work: %s", program, conf.host, refusal)  # noqa: TRY400 - a sentence says it all
        return 1
    except KeyboardInterrupt:
        LOG.info("%s on %s has stopped", program, conf.host)
    return 0


def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT, and return."""
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


@contextlib.contextmanager
def serving(
    conf: cfg.ConfigOpts,
    bus: Bus,
    manager: interface.Interface,
    *,
    binary: str,
    threads: int,
    conductor: Conductor,
) -> Generator[None]:
    """Answer calls to the manager as this host, and report to the conductor meanwhile.

    At the end calls that have begun are finished. `conductor` is a client,
    or the conductor's own manager. `binary` is the name that clients know the
    service by: nova-scheduler and so on.
    """
    server = bus.serve(manager, conf.host, threads)
    server.start()
    LOG.info("%s on %s serves %s", binary, conf.host, type(manager).TOPIC)
    try:
        with reporting(conf, conductor, binary, type(manager).TOPIC):
            yield
    finally:
        server.stop()
        server.wait()
        LOG.info("%s on %s serves no longer", binary, conf.host)


@contextlib.contextmanager
def reporting(
    conf: cfg.ConfigOpts, conductor: Conductor, binary: str, topic: str
) -> Generator[None]:
    """Send a heartbeat every [service] heartbeat seconds while the block lasts."""
    stop = threading.Event()
    service = objects.Service(uuid=ids.new(), host=conf.host, binary=binary, topic=topic)
    thread = threading.Thread(
        target=_beat, args=(conf, conductor, service, stop), name=f"{binary} heartbeat", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()


def _beat(
    conf: cfg.ConfigOpts, conductor: Conductor, service: objects.Service, stop: threading.Event
) -> None:
    pause = 0.0
    while not stop.wait(pause):
        pause = conf.service.heartbeat if _report(conductor, service) else SOON


def _report(conductor: Conductor, service: objects.Service) -> bool:
    try:
        conductor.report(contexts.admin(), service, None)
    except errors.Error as away:
        LOG.warning("the report of %s on %s is lost: %s", service.binary, service.host, away)
        return False
    except Exception:
        LOG.exception("the report of %s on %s failed", service.binary, service.host)
        return False
    return True

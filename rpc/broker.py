"""The broker itself: is it there, and does it let us in."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import kombu
import oslo_messaging as messaging

from common.config import load

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

LOG = logging.getLogger(__name__)

# Seconds between two tries, and for one try.
AGAIN = 3.0


def wait(conf: ConfigOpts, stop: threading.Event | None = None) -> None:
    """Wait without end until a broker of transport_url takes us, and say so every few seconds.

    The in-memory bus is always there.
    """
    stop = stop or threading.Event()
    url = messaging.TransportURL.parse(load.messaging(), conf.transport_url)
    if url.transport == "fake":
        return
    while not stop.is_set():
        reasons = [_try(url, host) for host in url.hosts]
        if None in reasons:
            return
        LOG.warning("waiting for the message broker: %s", "; ".join(filter(None, reasons)))
        stop.wait(AGAIN)


def _try(url: messaging.TransportURL, host: messaging.TransportHost) -> str | None:
    """Log in at one broker; gives what went wrong, without the password."""
    connection = kombu.Connection(
        hostname=host.hostname,
        port=host.port or 5672,
        userid=host.username or "guest",
        password=host.password or "guest",
        virtual_host=url.virtual_host or "/",
        connect_timeout=AGAIN,
        transport="pyamqp",
    )
    try:
        connection.connect()
    except (OSError, *connection.connection_errors, *connection.channel_errors) as away:
        return f"{host.hostname}:{host.port or 5672} says: {away}"
    finally:
        connection.release()
    return None

"""The one connection to this host's libvirt: opened, watched, opened again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import libvirt
from oslo_log import log

from services.compute import native
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.compute.virt.libvirt import events

LOG = log.getLogger(__name__)

# Seconds between keepalive messages, and how many may stay unanswered.
KEEPALIVE = (5, 3)
RETRY = 1.0
REMIND = 30


class Connection:
    """Gives a living connection to whoever asks, from any native thread."""

    def __init__(self, uri: str, events: events.Events) -> None:
        """Remember where; nothing is opened yet."""
        self._uri = uri
        self._events = events
        self._lock = native.Lock()
        self._stopped: native.Queue[bool] = native.Queue()
        self._open: libvirt.virConnect | None = None
        self.opened = 0  # how often; what was learnt of an earlier daemon may be outdated

    def wait(self, tries_left: int | None = None) -> bool:
        """Wait for the daemon and say so; False when close() came first, or after that many tries.

        A try takes a second, and without `tries_left` there is no end.
        """
        tries = 0
        while tries_left is None or tries < tries_left:
            try:
                self._living()
            except libvirt.libvirtError as error:
                if tries % REMIND == 0:
                    LOG.warning(
                        "libvirt at %s does not answer, waiting: %s",
                        self._uri,
                        trouble.words(error),
                    )
                tries += 1
                if self._stopped.get(RETRY):
                    return False
            else:
                if tries:
                    LOG.info("libvirt at %s answers again", self._uri)
                return True
        return False

    def get(self) -> libvirt.virConnect:
        """Give the open connection, or open it again; HypervisorError when nobody answers."""
        with trouble.told(f"connect to libvirt at {self._uri}"):
            return self._living()

    @contextmanager
    def another(self) -> Iterator[libvirt.virConnect]:
        """Give a connection of its own to a call that takes minutes.

        Beside such a call on the same connection, libvirt's client lets others
        wait for the next keepalive message: five seconds for each of them.
        """
        self._events.register()
        opened = libvirt.open(self._uri)
        try:
            _keep_alive(opened)
            yield opened
        finally:
            self._close(opened)

    def close(self) -> None:
        """Let the connection go, and end wait()."""
        self._stopped.put(True)
        with self._lock:
            if self._open is not None:
                self._events.detach(self._open)
                self._close(self._open)
            self._open = None

    def _living(self) -> libvirt.virConnect:
        with self._lock:
            if self._open is not None and self._open.isAlive():
                return self._open
            if self._open is not None:
                LOG.warning("the connection to libvirt at %s is gone, opening it", self._uri)
                self._close(self._open)
                self._open = None
            self._events.register()
            opened = libvirt.open(self._uri)
            _keep_alive(opened)
            self._events.attach(opened)
            self._open = opened
            self.opened += 1
            return opened

    @staticmethod
    def _close(opened: libvirt.virConnect) -> None:
        try:
            opened.close()
        except libvirt.libvirtError as error:
            LOG.debug("closing the connection to libvirt: %s", trouble.words(error))


def _keep_alive(opened: libvirt.virConnect) -> None:
    try:
        opened.setKeepAlive(*KEEPALIVE)
    except libvirt.libvirtError as error:
        # A hypervisor inside this process has no daemon that could fall silent.
        if trouble.code(error) != libvirt.VIR_ERR_NO_SUPPORT:
            raise

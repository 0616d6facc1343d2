"""libvirt's events: its loop, run by a thread that is lent, and queues that never block.

A callback only puts a value into a queue. One that waited for anything would
stop every other event, the keepalive and so the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libvirt

from services.compute import native

# Milliseconds after which the loop looks whether it should stop.
WAKE = 500

WORDS = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}
ENDED = "ended"


class Events:
    """Takes what libvirt tells and hands it to who waits."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiters: dict[str, native.Queue[str]] = {}
        self._jobs: dict[str, native.Queue[dict[str, Any]]] = {}
        self._iterations: dict[str, int] = {}
        self._news: dict[str, native.Queue[str]] = {}
        self._callbacks: list[int] = []

    def register(self) -> None:
        """Give libvirt its event loop; needed before the first connection, harmless after."""
        libvirt.virEventRegisterDefaultImpl()
        libvirt.registerErrorHandler(_keep_quiet, None)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Run libvirt's loop in this native thread until `stopping()` is true.

        One loop serves every connection of the process.
        """
        self.register()
        timer = libvirt.virEventAddTimeout(WAKE, _wake, None)
        try:
            while not stopping():
                libvirt.virEventRunDefaultImpl()
        finally:
            libvirt.virEventRemoveTimeout(timer)

    def attach(self, opened: libvirt.virConnect) -> None:
        """Have a new connection tell its events here."""
        wanted: list[tuple[int, Callable[..., None]]] = [
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._job_completed),
            (libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, self._iteration),
        ]
        self._callbacks = [
            opened.domainEventRegisterAny(None, kind, callback, None) for kind, callback in wanted
        ]

    def detach(self, opened: libvirt.virConnect) -> None:
        """Take the callbacks back, or they keep the connection open."""
        for callback in self._callbacks:
            try:
                opened.domainEventDeregisterAny(callback)
            except libvirt.libvirtError:  # a dead connection has no callbacks
                return
        self._callbacks = []

    @contextmanager
    def waiter(self, uuid: str) -> Iterator[native.Queue[str]]:
        """Give a queue that gets a word for each lifecycle event of the guest."""
        queue = self._waiters.setdefault(uuid, native.Queue())
        try:
            yield queue
        finally:
            self._waiters.pop(uuid, None)

    @contextmanager
    def job(self, uuid: str) -> Iterator[native.Queue[dict[str, Any]]]:
        """Give a queue that gets the statistics of the guest's job when it has ended."""
        queue = self._jobs[uuid] = native.Queue()
        self._iterations.pop(uuid, None)
        try:
            yield queue
        finally:
            self._jobs.pop(uuid, None)
            self._iterations.pop(uuid, None)

    def tell(self, uuid: str, word: str) -> None:
        """Have news() of the guest's job return."""
        self._news.setdefault(uuid, native.Queue()).put(word)

    def news(self, uuid: str, timeout: float) -> bool:
        """Wait for something new of the guest's job; False when nothing was told in time."""
        told = self._news.setdefault(uuid, native.Queue())
        word = told.get(timeout)
        if word is None:
            if uuid not in self._jobs:
                self._news.pop(uuid, None)
            return False
        while word is not None:
            if word == ENDED:
                self._news.pop(uuid, None)
            word = told.get(0.0)
        return True

    def iteration(self, uuid: str) -> int:
        """The guest's latest pass over its memory, as far as it was told."""
        return self._iterations.get(uuid, 0)

    def _lifecycle(
        self,
        _opened: libvirt.virConnect,
        domain: libvirt.virDomain,
        event: int,
        _detail: int,
        _opaque: None,
    ) -> None:
        word = WORDS.get(event)
        if word is None:
            return
        uuid: str = domain.UUIDString()
        waiter = self._waiters.get(uuid)
        if waiter is not None:
            waiter.put(word)
        if uuid in self._jobs:
            self.tell(uuid, word)

    def _job_completed(
        self,
        _opened: libvirt.virConnect,
        domain: libvirt.virDomain,
        stats: dict[str, Any],
        _opaque: None,
    ) -> None:
        job = self._jobs.get(domain.UUIDString())
        if job is not None:
            job.put(stats)
            self.tell(domain.UUIDString(), "completed")

    def _iteration(
        self, _opened: libvirt.virConnect, domain: libvirt.virDomain, number: int, _opaque: None
    ) -> None:
        uuid = domain.UUIDString()
        if uuid in self._jobs:
            self._iterations[uuid] = number
            self.tell(uuid, "iteration")


def _wake(_timer: int, _opaque: None) -> None:
    """Let virEventRunDefaultImpl return."""


def _keep_quiet(_context: None, _error: object) -> None:
    """Keep libvirt from printing what is raised anyway."""

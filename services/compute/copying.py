"""The copy of a cold move: most of it while the guest runs, the rest once it is off."""

from __future__ import annotations

import itertools
import logging
import pathlib
from typing import TYPE_CHECKING

import tenacity

from common import context as contexts
from common import errors
from common import objects
from common import states
from services.compute import native

if TYPE_CHECKING:
    import threading

    from common.clock import Clock
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

# What the name of an image among the copies begins with.
IMAGE = "image."
POLL = 0.5  # seconds between looks at how far the copy is
MIB = 1 << 20
# Seconds for which a broken connection is tried again; the guest runs meanwhile, or waits.
PATIENCE = 120
FIRST = 0.5
TRIES = 2  # copies of a file that lands damaged
MOST = 10.0


class Meter:
    """Counts the bytes of a copy in its own thread, keeps to a bandwidth, and ends it."""

    def __init__(self, clock: Clock, bandwidth: int, aborted: threading.Event) -> None:
        """Begin at 0; the bandwidth is in MiB per second, 0 for no limit."""
        self._clock = clock
        self._rate = bandwidth * MIB
        self._aborted = aborted
        self._since = clock.monotonic()
        self._never: native.Queue[None] = native.Queue()
        self.done = 0  # bytes, those included that had landed before
        self.total = 0

    def sent(self, count: int) -> None:
        """Count a piece; wait while it is ahead of the bandwidth, and raise MoveAborted."""
        if self._aborted.is_set():
            raise errors.MoveAborted("aborted by a user while its disks were copied")
        self.done += count
        if not self._rate:
            return
        ahead = self.done / self._rate - self.seconds()
        if ahead > 0:
            self._wait(min(ahead, 1.0))

    def seconds(self) -> float:
        """Give for how long it has counted."""
        return self._clock.monotonic() - self._since

    def _wait(self, seconds: float) -> None:
        """Wait in this native thread, whatever the process has patched."""
        self._never.get(seconds)


class Copying:
    """One guest's disks on their way."""

    def __init__(
        self,
        deps: Deps,
        instance: objects.Instance,
        migration: objects.Migration,
        cold: objects.ColdMove,
        aborted: threading.Event,
    ) -> None:
        """Stand before the copy; run() makes it."""
        self._deps = deps
        self._instance = instance
        self._migration = migration
        self._cold = cold
        self._aborted = aborted
        self._meter = Meter(deps.clock, cold.bandwidth, aborted)
        self._destination = deps.peer(str(migration.destination))

    def run(self) -> objects.ColdMove:
        """Copy all of it; the guest is off and kept aside then."""
        native, driver = self._deps.threads.native, self._deps.driver
        clock = self._deps.clock
        images = self._images()
        frozen = native(driver.freeze, self._instance, self._cold)
        self._bring([*images, *frozen])
        running = self._meter.done
        self._heed()
        if self._up():
            timeout = self._deps.conf.compute.shutdown_timeout
            native(driver.shut_down, self._instance, timeout)
        off = clock.monotonic()
        self._bring(native(driver.remainder, self._instance, self._cold))
        self._heed()
        native(driver.keep_aside, self._instance, self._cold)
        return self._cold.replace(
            copied_bytes=self._meter.done,
            copied_running=running,
            off_ms=round((clock.monotonic() - off) * 1000),
        )

    def _up(self) -> bool:
        guest = self._deps.threads.native(self._deps.driver.guest, self._instance.uuid)
        return guest is not None and guest.power in {states.Power.RUNNING, states.Power.PAUSED}

    def _heed(self) -> None:
        if self._aborted.is_set():
            raise errors.MoveAborted("aborted by a user before its guest was handed over")

    def _images(self) -> list[objects.CopyFile]:
        """Name the images that the destination cannot get elsewhere."""
        if not self._cold.needs_images:
            return []
        threads, cache = self._deps.threads, self._deps.cache
        files = threads.native(cache.files, self._instance)
        threads.native(cache.verify, self._instance, self._cold.needs_images)
        return [
            _whole(f"{IMAGE}{name}", str(getattr(files, name))) for name in self._cold.needs_images
        ]

    def _bring(self, files: list[objects.CopyFile]) -> None:
        self._meter.total += sum(file.allocated for file in files)
        for file in files:
            self._whole_file(file)

    def _whole_file(self, file: objects.CopyFile) -> None:
        """Bring one file over, through broken connections, and see that it is the same there."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.Unavailable),
            stop=tenacity.stop_after_delay(PATIENCE),
            wait=tenacity.wait_exponential(multiplier=FIRST, max=MOST),
            before_sleep=self._broken,
            reraise=True,
        )
        for _ in range(TRIES):
            here = attempts(self._attempt, file)
            there = attempts(self._landed, file)
            if here == there:
                return
            LOG.warning("migration %s: %s landed damaged", self._migration.uuid, file.name)
        bad = sum(one != other for one, other in itertools.zip_longest(here, there))
        raise errors.MoveFailed(
            f"{file.name} does not arrive at {self._migration.destination} as it is here: "
            f"{bad} of {len(here)} chunks have another SHA-256, after {TRIES} tries"
        )

    def _attempt(self, file: objects.CopyFile) -> list[str]:
        """Copy what has not landed yet, beside this thread, which tells how far it is."""
        self._heed()
        have = self._landed(file)
        before = self._meter.done
        job = self._deps.threads.start(
            self._deps.driver.copy, self._instance, self._cold, file, have, self._meter.sent
        )
        while not job.wait(POLL):
            self._post()
        self._post()
        try:
            return job.result()
        except errors.Error:
            self._meter.done = before
            raise

    def _landed(self, file: objects.CopyFile) -> list[str]:
        return self._destination.landed(
            contexts.admin(self._migration.request_id), self._instance, self._cold, file.name
        )

    def _post(self) -> None:
        done, total = self._meter.done, max(self._meter.total, 1)
        seconds = max(self._meter.seconds(), 0.001)
        rate = int(done / seconds)
        self._deps.reporter.post(
            objects.MigrationProgress(
                migration_uuid=self._migration.uuid,
                generation=self._migration.generation,
                percent=min(99, 100 * done // total),
                disk_total=total,
                disk_processed=done,
                disk_remaining=max(total - done, 0),
                rate=rate,
                elapsed_ms=round(seconds * 1000),
                eta_ms=1000 * max(total - done, 0) // rate if rate else None,
            )
        )

    def _broken(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        LOG.warning("migration %s: the copy goes on in a moment: %s", self._migration.uuid, error)


def _whole(name: str, path: str) -> objects.CopyFile:
    """Describe a file that is sent from its first byte to its last."""
    size = pathlib.Path(path).stat().st_size
    return objects.CopyFile(name=name, path=path, size=size, allocated=size)

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
from services.compute import pace

if TYPE_CHECKING:
    import threading

    from services.compute.cache import Cache
    from services.compute.concurrency import Job
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

# What the name of an image among the copies begins with.
IMAGE = "image."
FIRST_DISK = "disk"
POLL = 0.5  # seconds between looks at how far the copy is, and at an abort
FIRST = 0.5  # seconds before a broken connection is tried again; later more, up to MOST
MOST = 10.0
TRIES = 2  # copies of a file that lands damaged


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
        bandwidth = cold.bandwidth or deps.conf.compute.copy_bandwidth
        self._meter = pace.Meter(deps.clock, bandwidth, aborted)
        self._destination = deps.peer(str(migration.destination))

    def greet(self) -> None:
        """See that the destination takes copies and tells of them, before anything is touched."""
        self._deps.threads.native(self._deps.driver.knock, self._cold)
        self._patient()(self._landed, FIRST_DISK)

    def run(self) -> objects.ColdMove:
        """Copy all of it; the guest is off and kept aside then."""
        native, driver = self._deps.threads.native, self._deps.driver
        clock = self._deps.clock
        self._bring_images()
        self._bring(native(driver.freeze, self._instance, self._cold))
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

    def _bring_images(self) -> None:
        """Bring the images that the destination cannot get elsewhere, and see it take them."""
        wanted = self._lacking()
        if not wanted:
            return
        native, cache = self._deps.threads.native, self._deps.cache
        files = native(cache.files, self._instance)
        native(cache.verify, self._instance, wanted)
        copies = [_whole(f"{IMAGE}{name}", str(getattr(files, name))) for name in wanted]
        self._bring(copies, sum(disk.allocated_bytes for disk in self._cold.disks))
        lacking = self._lacking()
        if lacking:
            raise errors.BadImage(
                f"{self._migration.destination} cannot take the {' and '.join(lacking)} of "
                f"server {self._instance.uuid} for its image: its log has the reason"
            )

    def _lacking(self) -> list[str]:
        """Have the destination take the images that have landed, and name those that have not."""
        if not self._cold.needs_images:
            return []
        context = contexts.admin(self._migration.request_id)
        ask = self._destination.adopt_images
        return self._patient()(
            lambda: self._beside(self._deps.threads.spawn(ask, context, self._instance, self._cold))
        )

    def _bring(self, files: list[objects.CopyFile], then: int = 0) -> None:
        """Bring files over; so many bytes are known to come `then`."""
        coming = sum(file.allocated for file in files)
        self._meter.total = max(self._meter.total, self._meter.done + coming + then)
        for file in files:
            self._whole_file(file)

    def _whole_file(self, file: objects.CopyFile) -> None:
        """Bring one file over, through broken connections, and see that it is the same there."""
        attempts = self._patient()
        before = self._meter.done
        for _ in range(TRIES):
            here = attempts(self._attempt, file, before)
            there = attempts(self._landed, file.name)
            if here == there:
                return
            LOG.warning("migration %s: %s landed damaged", self._migration.uuid, file.name)
        bad = sum(one != other for one, other in itertools.zip_longest(here, there))
        raise errors.MoveFailed(
            f"{file.name} does not arrive at {self._migration.destination} as it is here: "
            f"{bad} of {len(here)} chunks have another checksum, after {TRIES} tries"
        )

    def _patient(self) -> tenacity.Retrying:
        """Try again what a broken connection ends."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.Unavailable),
            stop=pace.Patience(self._deps.clock, self._meter).over,
            wait=tenacity.wait_exponential(multiplier=FIRST, max=MOST),
            before_sleep=self._broken,
            reraise=True,
        )

    def _attempt(self, file: objects.CopyFile, before: int) -> list[str]:
        """Copy what has not landed yet; it counts from what was done `before` this file."""
        have = self._landed(file.name)
        self._meter.done = before
        return self._beside(
            self._deps.threads.start(
                self._deps.driver.copy, self._instance, self._cold, file, have, self._meter.sent
            )
        )

    def _landed(self, name: str) -> list[str]:
        context = contexts.admin(self._migration.request_id)
        ask = self._destination.landed
        return self._beside(
            self._deps.threads.spawn(ask, context, self._instance, self._cold, name)
        )

    def _beside(self, job: Job[list[str]]) -> list[str]:
        """Tell how far it is until the job has ended; an abort waits for nobody.

        A copy that hangs ends by itself when its connection does, without a byte more.
        """
        self._heed()
        while not job.wait(POLL):
            self._heed()
            self._post()
        self._post()
        return job.result()

    def _post(self) -> None:
        done, total = self._meter.most, max(self._meter.total, 1)
        rate = self._meter.rate()
        self._deps.reporter.post(
            objects.MigrationProgress(
                migration_uuid=self._migration.uuid,
                generation=self._migration.generation,
                percent=min(99, 100 * done // total),
                disk_total=total,
                disk_processed=done,
                disk_remaining=max(total - done, 0),
                rate=rate,
                elapsed_ms=round(self._meter.seconds() * 1000),
                eta_ms=1000 * max(total - done, 0) // rate if rate else None,
            )
        )

    def _broken(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        LOG.warning("migration %s: the copy goes on in a moment: %s", self._migration.uuid, error)
        self._post()


def adopt(cache: Cache, instance: objects.Instance, cold: objects.ColdMove) -> list[str]:
    """Take the images that have landed for a move into the cache, and name those that have not."""
    folder = pathlib.Path(cold.destination_folder)
    return [
        name
        for name in cold.needs_images
        if not cache.adopt(instance, name, folder / f"{IMAGE}{name}")
    ]


def _whole(name: str, path: str) -> objects.CopyFile:
    """Describe a file that is sent from its first byte to its last."""
    size = pathlib.Path(path).stat().st_size
    return objects.CopyFile(name=name, path=path, size=size, allocated=size)

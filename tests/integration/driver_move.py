"""Verbs of the libvirt driver's tests: one move step by step, and what it left."""

import contextlib
import threading

from common import errors
from common import ids
from common import objects
from deploy.lab import waiting
from services.compute.virt import driver
from tests.integration import driver_host
from tests.integration import labs

PATIENCE = 40  # seconds
INSTANCES = "/var/lib/whimbrel/instances"


class Move:
    """One live migration, step by step as compute does it."""

    def __init__(self, source, destination, server, files, **wishes: object) -> None:
        """Check and prepare; nothing has moved yet."""
        self.source = source
        self.destination = destination
        self.server = server
        data = objects.LibvirtLiveMigrateData(migration_uuid=ids.new(), **wishes)
        data = destination.check_destination(server, data)
        try:
            data = source.check_source(server, data)
        finally:
            destination.clean_check(data)
        self.data = destination.prepare(server, data, files)
        self.progress: list[objects.MigrationProgress] = []
        self.end: driver.JobEnd | None = None
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> "Move":
        """Start the job and see it run."""
        self._thread.start()
        waiting.until(self._moving, PATIENCE, "no progress")
        return self

    def finish(self) -> driver.JobEnd:
        """Wait for the job's end, and clean up after it on both sides."""
        end = self.wait()
        if end.gone:
            self.destination.finish(self.server, self.data)
            self.source.leave(self.server, self.data)
        else:
            self.destination.undo(self.server, self.data)
        return end

    def wait(self) -> driver.JobEnd:
        """Wait for the job's end, asking how far it is."""
        while self._thread.is_alive():
            self._moving()
            self._thread.join(0.25)
        assert self.end is not None
        return self.end

    def _moving(self) -> bool:
        found = self.source.job(self.server.uuid)
        if found is not None:
            self.progress.append(found)
        return bool(self.progress) or not self._thread.is_alive()

    def _run(self) -> None:
        with contextlib.suppress(EOFError):  # of a driver that crashed
            self.end = self.source.migrate(self.server, self.data)


def left(lab: labs.Lab, host: driver_host.Remote) -> list[str]:
    """Give the names of what is in a host's instances folder."""
    return lab.inside(host.host, "ls", "-A", INSTANCES).split()


def undone(host, server, data) -> bool:
    """Undo, unless libvirt there is still away."""
    try:
        host.undo(server, data)
    except errors.HypervisorError:
        return False
    return True

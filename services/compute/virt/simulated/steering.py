"""Simulated moves on their way: what is asked of them, and what may be changed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from common import errors
from services.compute.virt.simulated import world as worlds
from services.compute.virt.simulated.job import Job

if TYPE_CHECKING:
    from common import objects


class Steered:
    """The part of the simulated driver that looks after running moves."""

    _host: worlds.Host
    _world: worlds.World
    _jobs: dict[str, Job]
    _peers: dict[str, worlds.Host]
    _broken: dict[str, Job]
    _stopped: threading.Event

    def traffic(self, uuid: str) -> object:
        """Tell how much was copied; nothing more, while the link is cut."""
        return self._jobs[uuid].sent if uuid in self._jobs else None

    def reaches(self, data: objects.LibvirtLiveMigrateData) -> bool:
        """Tell whether the link to the destination is whole."""
        return not {self._host.name, data.destination_address} & self._world.cut

    def cut_off(self, uuid: str) -> int:
        """Make the guest's move fail for want of a link."""
        self._copying(uuid).cut_off.set()
        return 1

    def job(self, uuid: str) -> objects.MigrationProgress | None:
        """Tell how far the guest's move is."""
        self._trip("job")
        running = self._jobs.get(uuid) or self._broken.get(uuid)
        return running.progress() if running is not None else None

    def wait_job(self, uuid: str, timeout: float) -> bool:
        """Wait for news of the guest's move; where there is none, time passes."""
        running = self._jobs.get(uuid)
        if running is None:
            return self._stopped.wait(timeout) and False
        return running.news(timeout)

    def abort(self, uuid: str) -> None:
        """Stop the guest's move."""
        self._trip("abort")
        self._copying(uuid).aborted.set()

    def post_copy(self, uuid: str) -> None:
        """Let the guest run at the destination from now on."""
        self._trip("post_copy")
        running = self._moving(uuid)
        if running.policy.post_copy == "never":
            raise errors.WrongState(f"the move of server {uuid} began without post-copy")
        running.switch(self._host, self._peers[uuid])

    def set_downtime(self, uuid: str, milliseconds: int) -> None:
        """Change the downtime of the guest's move."""
        self._trip("set_downtime")
        self._moving(uuid).downtime = milliseconds

    def set_bandwidth(self, uuid: str, mib: int) -> None:
        """Change the bandwidth of the guest's move."""
        self._trip("set_bandwidth")
        self._moving(uuid).bandwidth = mib

    def _moving(self, uuid: str) -> Job:
        found = self._jobs.get(uuid)
        if found is None:
            raise errors.WrongState(f"server {uuid} has no running migration job")
        return found

    def _copying(self, uuid: str) -> Job:
        found = self._moving(uuid)
        if found.post_copy:
            raise errors.WrongState(f"the move of server {uuid} is in post-copy: it can only go on")
        return found

    def _trip(self, method: str) -> None:
        raise NotImplementedError

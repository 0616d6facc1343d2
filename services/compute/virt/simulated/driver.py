"""A driver that keeps guests in memory: ships for demos, tests and scale runs.

It obeys the whole contract of virt.driver, local and shared storage and
failed moves included, but touches nothing outside its process.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states
from services.compute.virt import checks as plain
from services.compute.virt import driver
from services.compute.virt import fallback
from services.compute.virt import local
from services.compute.virt.simulated import checks
from services.compute.virt.simulated import cold
from services.compute.virt.simulated import job
from services.compute.virt.simulated import steering
from services.compute.virt.simulated import usage
from services.compute.virt.simulated import world as worlds
from services.compute.virt.simulated.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from oslo_config.cfg import ConfigOpts

# Seconds between two looks whether the end has come; stop() ends the wait at once.
QUIET = 5.0


class Driver(cold.Cold, steering.Steered, driver.Driver):
    """One simulated host."""

    def __init__(self, conf: ConfigOpts, world: worlds.World) -> None:
        """Stand in the world under the configured host name."""
        self._conf = conf
        self._world = world
        self._host = world.host(conf.host)
        self._disk_ratio: float = conf.compute.disk_allocation_ratio
        self._jobs: dict[str, job.Job] = {}
        self._peers: dict[str, worlds.Host] = {}
        self._broken: dict[str, job.Job] = {}
        self._made: dict[str, str] = {}  # migration: the folder that was made for it here
        self._stopped = threading.Event()

    def start(self) -> None:
        """Do nothing: the world is there."""

    def stop(self) -> None:
        """End every wait."""
        self._stopped.set()

    def allow(self, disk_ratio: float) -> None:
        """Check disks with this ratio from now on."""
        self._disk_ratio = disk_ratio

    def run_events(self, stopping: Callable[[], bool]) -> None:
        """Wait for the end: a simulated host tells nothing on its own."""
        while not stopping():
            self._stopped.wait(QUIET)

    def capacity(self) -> driver.Capacity:
        """Give the configured size, and what the guests take of it."""
        with self._world.lock:
            self._world.receive(self._host)
            return usage.capacity(self._conf, self._world, self._host)

    def guests(self) -> list[driver.Guest]:
        """List the guests."""
        with self._world.lock:
            self._world.receive(self._host)
            return [_seen(guest) for guest in self._host.guests.values()]

    def guest(self, uuid: str) -> driver.Guest | None:
        """Give one guest."""
        with self._world.lock:
            self._world.receive(self._host)
            found = self._host.guests.get(uuid)
            return _seen(found) if found is not None else None

    def build(self, instance: objects.Instance, files: local.Files) -> None:
        """Put the guest into the world and let it count."""
        self._trip("build")
        with self._world.lock:
            need = usage.disk_bytes(instance.flavor)
            if _folder(instance) not in self._host.files and need:
                plain.fits(self._conf.host, need, self._room(over_commit=False))
            self._host.files.add(_folder(instance))
            self.power_on(instance, files)

    def power_on(self, instance: objects.Instance, files: local.Files) -> None:
        """Start the guest from zero."""
        del files
        self._trip("power_on")
        with self._world.lock:
            there = self._host.guests.get(instance.uuid)
            if there is not None and there.power in worlds.ALIVE:
                return
            guest = worlds.Guest(
                instance.uuid,
                instance.run_token,
                instance.flavor.memory_mb,
                disk_bytes=usage.disk_bytes(instance.flavor),
                vcpus=instance.flavor.vcpus,
            )
            guest.go(self._world.clock.monotonic())
            self._host.guests[instance.uuid] = guest

    def shut_down(self, instance: objects.Instance, timeout: int) -> None:
        """Stop the guest at once: it has nothing to tidy up."""
        del timeout
        self.power_off(instance)

    def power_off(self, instance: objects.Instance) -> None:
        """Stop the guest; its memory is lost."""
        self._trip("power_off")
        with self._world.lock:
            self._need(instance.uuid).halt(self._world.clock.monotonic(), states.Power.SHUTDOWN)

    def pause(self, instance: objects.Instance) -> None:
        """Keep the guest from counting."""
        self._trip("pause")
        with self._world.lock:
            self._need(instance.uuid).halt(self._world.clock.monotonic(), states.Power.PAUSED)

    def unpause(self, instance: objects.Instance) -> None:
        """Let the guest count on."""
        self._trip("unpause")
        with self._world.lock:
            self._need(instance.uuid).go(self._world.clock.monotonic())

    def destroy(self, instance: objects.Instance) -> None:
        """Remove the guest and its files."""
        self._trip("destroy")
        with self._world.lock:
            self._host.guests.pop(instance.uuid, None)
            self._host.files.discard(_folder(instance))

    def examine_destination(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.CheckReport:
        """Make the destination's checks and leave the test file."""
        self._trip("check_destination")
        name = data.test_file or f".whimbrel-probe-{data.migration_uuid}"
        with self._world.lock:
            results = checks.arrival(self._host, instance)
            found = data.replace(
                test_file=name,
                destination_address=self._host.name,
                destination_free_bytes=self._room(over_commit=data.disk_over_commit),
                destination_facts=self._host.facts,
                destination_has_files=_folder(instance) in self._host.files,
            )
            self._host.files.add(name)
        return objects.CheckReport(data=found, results=results)

    def clean_check(self, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove the test file."""
        with self._world.lock:
            self._host.files.discard(str(data.test_file))

    def prepare(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        files: local.Files,
    ) -> objects.LibvirtLiveMigrateData:
        """Make the guest's folder, unless it is shared."""
        del files
        self._trip("prepare")
        if data.is_shared:
            return data
        with self._world.lock:
            mine = self._made.get(data.migration_uuid) == _folder(instance)
            if not mine and _folder(instance) in self._host.files:
                raise plain.occupied(self._conf.host, instance.uuid)
            free = self._room(over_commit=data.disk_over_commit)
            plain.room(data.replace(destination_free_bytes=free))
            self._host.coming[_folder(instance)] = sum(disk.virtual_bytes for disk in data.disks)
            self._host.files.add(_folder(instance))
            self._made[data.migration_uuid] = _folder(instance)
        return data.replace(created=[_folder(instance)])

    def finish(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> states.Power:
        """See the guest here and make it permanent."""
        self._trip("finish")
        with self._world.lock:
            self._made.pop(data.migration_uuid, None)
            self._host.coming.pop(_folder(instance), None)
            self._world.receive(self._host)
            guest = self._need(instance.uuid)
            guest.permanent = True
            return guest.power

    def undo(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what was made for the guest."""
        self._trip("undo")
        with self._world.lock:
            self._world.receive(self._host)
            if instance.uuid in self._host.guests:
                raise errors.Conflict(f"server {instance.uuid} runs on {self._conf.host}")
            made = self._made.pop(data.migration_uuid, None)
            if made is not None:
                self._host.files.discard(made)
                self._host.coming.pop(made, None)

    def examine_source(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.CheckReport:
        """Make the source's checks: look for the test file and decide block_migration."""
        self._trip("check_source")
        size = usage.disk_bytes(instance.flavor)
        disk = objects.DiskInfo(
            target="vda",
            path=_folder(instance),
            format="qcow2",
            virtual_bytes=size,
            allocated_bytes=0,
        )
        with self._world.lock:
            there = self._world.host(data.destination_address)
            return checks.departure(self._host, there, instance, disk, data, self._world.cut)

    def terms(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.Terms:
        """Leave out of the policy what both hosts cannot do together."""
        there = data.destination_facts
        ours = frozenset(self._host.facts.features)
        both = ours.intersection(there.features if there is not None else ours)
        with self._world.lock:
            guest = self._host.guests.get(instance.uuid)
            paused = guest is not None and guest.power == states.Power.PAUSED
        return fallback.settle(policy, both, paused=paused)

    def migrate(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.JobEnd:
        """Carry the guest over at the configured rate, or the policy's."""
        agreed = self.terms(instance, data, policy)
        if agreed.refusal:
            return job.stayed(agreed.refusal, cancelled=False)
        if self._world.running(instance.uuid) == [data.destination_address]:
            # An earlier process has begun this, and it ended well.
            return job.arrived()
        guest = self._need(instance.uuid)
        running = job.Job(self._world, self._conf.simulated.rate, guest, agreed.policy)
        self._peers[instance.uuid] = self._world.host(data.destination_address)
        self._jobs[instance.uuid] = running
        try:
            self._trip("migrate")
        except errors.HypervisorError as failed:
            del self._jobs[instance.uuid]
            running.tell()
            return job.stayed(failed.message, cancelled=False)
        except BaseException:
            del self._jobs[instance.uuid]
            raise
        return self._finish_job(instance.uuid, running)

    def recover(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.JobEnd:
        """Go on with a broken move once the link is back."""
        del data
        self._trip("recover")
        running = self._broken.get(instance.uuid)
        if running is None:
            raise errors.WrongState(f"no broken move of server {instance.uuid} waits here")
        if {self._host.name, self._peers[instance.uuid].name} & self._world.cut:
            return job.halved("the destination does not answer; the guest waits for it")
        running.bandwidth = int(policy.bandwidth)
        self._jobs[instance.uuid] = running
        return self._finish_job(instance.uuid, running)

    def let_go(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> int:
        """Do nothing: a simulated link is cut for both ends at once."""
        del instance, data
        return 0

    def leave(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what stayed behind."""
        self._trip("leave")
        with self._world.lock:
            if instance.uuid in self._host.guests:
                raise errors.Conflict(f"server {instance.uuid} still runs on {self._conf.host}")
            if not data.is_shared:
                self._host.files.discard(_folder(instance))

    def _room(self, *, over_commit: bool) -> int:
        return usage.room(
            self._conf, self._world, self._host, self._disk_ratio, over_commit=over_commit
        )

    def _finish_job(self, uuid: str, running: Job) -> driver.JobEnd:
        """Run a job to its end, and keep it when it is broken."""
        self._broken.pop(uuid, None)
        try:
            end = running.run(self._host, self._peers[uuid])
            self._world.deliver(self._peers[uuid])
            if end.broken:
                self._broken[uuid] = running
            return end
        finally:
            del self._jobs[uuid]

    def _need(self, uuid: str) -> worlds.Guest:
        found = self._host.guests.get(uuid)
        if found is None:
            raise errors.GuestNotFound(f"{self._conf.host} has no guest {uuid}")
        return found

    def _trip(self, method: str) -> None:
        """Do what was planted for this method."""
        self._world.trip(self._host, method, self._stopped)


def _seen(guest: worlds.Guest) -> driver.Guest:
    return driver.Guest(guest.uuid, guest.power, guest.run_token, guest.permanent)


def _folder(instance: objects.Instance) -> str:
    return usage.folder(instance.uuid)

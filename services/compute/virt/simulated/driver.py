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
from services.compute.virt import driver
from services.compute.virt.simulated import job
from services.compute.virt.simulated import world as worlds

if TYPE_CHECKING:
    from collections.abc import Callable

    from oslo_config.cfg import ConfigOpts

GIB = 1 << 30
ALIVE = frozenset({states.Power.RUNNING, states.Power.PAUSED})


class Driver(driver.Driver):
    """One simulated host."""

    def __init__(self, conf: ConfigOpts, world: worlds.World) -> None:
        """Stand in the world under the configured host name."""
        self._conf = conf
        self._world = world
        self._host = world.host(conf.host)
        self._jobs: dict[str, job.Job] = {}
        self._made: dict[str, str] = {}  # migration: the folder that was made for it here
        self._stopped = threading.Event()

    def start(self) -> None:
        """Do nothing: the world is there."""

    def stop(self) -> None:
        """End every wait."""
        self._stopped.set()

    def run_events(self, stopping: Callable[[], bool]) -> None:
        """Wait for the end: a simulated host tells nothing on its own."""
        while not stopping():
            self._stopped.wait(0.5)

    def next_event(self, timeout: float) -> driver.Event | None:
        """Wait, and tell nothing."""
        self._stopped.wait(timeout)
        return None

    def capacity(self) -> driver.Capacity:
        """Give the configured size."""
        size = self._conf.simulated
        with self._world.lock:
            running = sum(guest.power in ALIVE for guest in self._host.guests.values())
        return driver.Capacity(
            facts=_facts(),
            vcpus=size.vcpus,
            memory_mb=size.memory_mb,
            local_gb=size.disk_gb,
            disk_available_least=size.disk_gb,
            running_vms=running,
        )

    def guests(self) -> list[driver.Guest]:
        """List the guests."""
        with self._world.lock:
            return [_seen(guest) for guest in self._host.guests.values()]

    def guest(self, uuid: str) -> driver.Guest | None:
        """Give one guest."""
        with self._world.lock:
            found = self._host.guests.get(uuid)
            return _seen(found) if found is not None else None

    def build(self, instance: objects.Instance, files: driver.Files) -> None:
        """Put the guest into the world and let it count."""
        self._trip("build")
        with self._world.lock:
            self._host.files.add(_folder(instance))
            self.power_on(instance, files)

    def power_on(self, instance: objects.Instance, files: driver.Files) -> None:
        """Start the guest from zero."""
        del files
        self._trip("power_on")
        with self._world.lock:
            there = self._host.guests.get(instance.uuid)
            if there is not None and there.power in ALIVE:
                return
            guest = worlds.Guest(instance.uuid, instance.run_token, instance.flavor.memory_mb)
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

    def check_destination(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.LibvirtLiveMigrateData:
        """Leave the test file."""
        del instance
        self._trip("check_destination")
        name = f".whimbrel-probe-{data.migration_uuid}"
        with self._world.lock:
            self._host.files.add(name)
        return data.replace(
            test_file=name,
            destination_address=self._conf.host,
            destination_free_bytes=self._conf.simulated.disk_gb * GIB,
            destination_facts=_facts(),
        )

    def clean_check(self, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove the test file."""
        with self._world.lock:
            self._host.files.discard(str(data.test_file))

    def prepare(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        files: driver.Files,
    ) -> objects.LibvirtLiveMigrateData:
        """Make the guest's folder, unless it is shared."""
        del files
        self._trip("prepare")
        if data.is_shared:
            return data
        with self._world.lock:
            if _folder(instance) in self._host.files:
                raise errors.DiskExists(
                    f"{self._conf.host} has files of server {instance.uuid} already"
                )
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
            guest = self._need(instance.uuid)
            guest.permanent = True
            return guest.power

    def undo(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what was made for the guest."""
        self._trip("undo")
        with self._world.lock:
            if instance.uuid in self._host.guests:
                raise errors.Conflict(f"server {instance.uuid} runs on {self._conf.host}")
            made = self._made.pop(data.migration_uuid, None)
            if made is not None:
                self._host.files.discard(made)

    def check_source(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.LibvirtLiveMigrateData:
        """Look for the test file and decide block_migration."""
        self._trip("check_source")
        with self._world.lock:
            shared = data.test_file in self._host.files
        block = data.block_migration if data.block_migration is not None else not shared
        if block == shared:
            storage = "shared" if shared else "local"
            raise errors.StorageMismatch(
                f"{self._conf.host} and {data.destination_address} have {storage} storage: "
                f"use block_migration={not shared} or auto"
            )
        size = instance.flavor.root_gb * GIB
        disk = objects.DiskInfo(
            target="vda",
            path=_folder(instance),
            format="qcow2",
            virtual_bytes=size,
            allocated_bytes=0,
        )
        return data.replace(is_shared=shared, block_migration=block, disks=[disk])

    def migrate(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> driver.JobEnd:
        """Carry the guest over at the configured rate."""
        running = job.Job(self._world, self._conf.simulated.rate, self._need(instance.uuid))
        self._jobs[instance.uuid] = running
        try:
            self._trip("migrate")
            return running.run(self._host, self._world.host(data.destination_address))
        except errors.HypervisorError as failed:
            return job.stayed(failed.message, cancelled=False)
        finally:
            del self._jobs[instance.uuid]

    def job(self, uuid: str) -> objects.MigrationProgress | None:
        """Tell how far the guest's move is."""
        self._trip("job")
        running = self._jobs.get(uuid)
        return running.progress() if running is not None else None

    def abort(self, uuid: str) -> None:
        """Stop the guest's move."""
        self._trip("abort")
        running = self._jobs.get(uuid)
        if running is None:
            raise errors.WrongState(f"server {uuid} has no running migration job")
        running.aborted.set()

    def leave(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what stayed behind."""
        self._trip("leave")
        with self._world.lock:
            if instance.uuid in self._host.guests:
                raise errors.Conflict(f"server {instance.uuid} still runs on {self._conf.host}")
            if not data.is_shared:
                self._host.files.discard(_folder(instance))

    def _need(self, uuid: str) -> worlds.Guest:
        found = self._host.guests.get(uuid)
        if found is None:
            raise errors.GuestNotFound(f"{self._conf.host} has no guest {uuid}")
        return found

    def _trip(self, method: str) -> None:
        """Wait where a hold is planted for this method, and raise its fault, each once."""
        with self._world.lock:
            held = self._host.holds.pop(method, None)
            fault = self._host.faults.pop(method, None)
        if held is not None:
            held.wait()
        if fault is not None:
            raise fault


def _facts() -> objects.HostFacts:
    return objects.HostFacts(
        architecture="x86_64",
        hypervisor_type="simulated",
        hypervisor_version=1_000_000,
        machine_types=["simulated"],
    )


def _seen(guest: worlds.Guest) -> driver.Guest:
    return driver.Guest(guest.uuid, guest.power, guest.run_token, guest.permanent)


def _folder(instance: objects.Instance) -> str:
    return f"instances/{instance.uuid}"

"""Cold moves of simulated guests: folders change hands, and bytes take their time."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from common import checks as verdicts
from common import errors
from common import objects
from common import states
from services.compute.virt import checks as plain
from services.compute.virt import cold as contract
from services.compute.virt import local
from services.compute.virt.simulated import checks
from services.compute.virt.simulated import usage
from services.compute.virt.simulated import world as worlds

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts


GIB = 1 << 30
MIB = 1 << 20
# What every simulated disk holds, and what a running guest writes beside it.
BULK = 64 * MIB
DELTA = 1 * MIB
PIECE = 4 * MIB
ALIVE = frozenset({states.Power.RUNNING, states.Power.PAUSED})


class Cold(contract.ColdMoves):
    """The part of the simulated driver that moves guests which are off."""

    _conf: ConfigOpts
    _world: worlds.World
    _host: worlds.Host
    _stopped: threading.Event

    def survey(self, instance: objects.Instance, cold: objects.ColdMove) -> objects.ColdMove:
        """Tell of one disk, and what this host is."""
        self._trip("survey")
        disk = objects.DiskInfo(
            target="vda",
            path=_folder(instance),
            format="qcow2",
            virtual_bytes=instance.flavor.root_gb * GIB,
            allocated_bytes=BULK,
        )
        return cold.replace(disks=[disk], source_facts=self._host.facts)

    def knock(self, cold: objects.ColdMove) -> None:
        """Refuse a destination that is cut off."""
        self._trip("knock")
        if {self._host.name, cold.destination_address} & self._world.cut:
            raise errors.CopyPathClosed(
                f"{self._host.name} cannot copy to {cold.destination_address}: it is cut off"
            )

    def freeze(self, instance: objects.Instance, cold: objects.ColdMove) -> list[objects.CopyFile]:
        """Name the disk: what the guest writes from now on goes beside it."""
        self._trip("freeze")
        if cold.was != states.Vm.ACTIVE or self._host.rigid:
            return []
        self._host.frozen.add(cold.migration_uuid)
        return [_file(instance, "disk", BULK)]

    def remainder(
        self, instance: objects.Instance, cold: objects.ColdMove
    ) -> list[objects.CopyFile]:
        """Name what was written beside the disk, or the disk where nothing was."""
        self._trip("remainder")
        if cold.migration_uuid in self._host.frozen:
            return [_file(instance, "disk.delta", DELTA)]
        return [_file(instance, "disk", BULK)]

    def copy(
        self,
        instance: objects.Instance,
        cold: objects.ColdMove,
        file: objects.CopyFile,
        have: list[str],
        sent: contract.Sent,
    ) -> list[str]:
        """Let the file land piece by piece, at the configured rate."""
        del instance, have
        self._trip("copy")
        there = self._world.host(cold.destination_address)
        for _ in range(0, file.size, PIECE):
            if {self._host.name, there.name} & self._world.cut:
                raise errors.Unavailable(f"the connection to {there.name} broke")
            self._stopped.wait(PIECE / MIB / self._conf.simulated.rate)
            sent(min(PIECE, file.size))
        chunks = [_digest(file.name, number) for number in range(-(-file.size // contract.CHUNK))]
        with self._world.lock:
            there.copies[cold.migration_uuid, file.name] = chunks
        return chunks

    def keep_aside(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Put the guest's folder aside, and forget the guest."""
        self._trip("keep_aside")
        with self._world.lock:
            guest = self._host.guests.get(instance.uuid)
            if guest is not None and guest.power in ALIVE:
                raise errors.Conflict(f"server {instance.uuid} runs on {self._conf.host}")
            if guest is not None:
                self._host.frozen.discard(cold.migration_uuid)
                self._host.kept[cold.migration_uuid] = self._host.guests.pop(instance.uuid)
                self._host.files.discard(_folder(instance))
                self._host.files.add(_kept(cold))

    def put_back(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Take the folder back, and know the guest again."""
        self._trip("put_back")
        self._host.frozen.discard(cold.migration_uuid)
        with self._world.lock:
            if _kept(cold) not in self._host.files:
                return
            self._host.files.discard(_kept(cold))
            self._host.files.add(_folder(instance))
            self._host.guests[instance.uuid] = self._host.kept.pop(cold.migration_uuid)

    def discard(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Remove the kept folder."""
        del instance
        self._trip("discard")
        with self._world.lock:
            self._host.kept.pop(cold.migration_uuid, None)
            self._host.files.discard(_kept(cold))

    def prepare_cold(self, instance: objects.Instance, cold: objects.ColdMove) -> objects.ColdMove:
        """Check what every arrival is checked for, and make the folder for the copies."""
        self._trip("prepare_cold")
        with self._world.lock:
            verdicts.refuse(checks.arrival(self._host, instance))
            need = usage.disk_bytes(cold.new_flavor)
            if _incoming(cold) not in self._host.files:
                plain.fits(self._host.name, need, self._room(over_commit=False))
            self._host.coming[_copy(instance, cold)] = need
            self._host.files.add(_incoming(cold))
        return cold.replace(
            destination_address=self._host.name,
            destination_uri=f"simulated://{self._host.name}",
            destination_folder=_incoming(cold),
        )

    def landed(self, instance: objects.Instance, cold: objects.ColdMove, name: str) -> list[str]:
        """Tell what has landed."""
        del instance
        self._trip("landed")
        with self._world.lock:
            return list(self._host.copies.get((cold.migration_uuid, name), []))

    def assemble(
        self, instance: objects.Instance, cold: objects.ColdMove, files: local.Files
    ) -> None:
        """Give the guest its folder."""
        del files
        self._trip("assemble")
        with self._world.lock:
            if _incoming(cold) not in self._host.files:
                return
            self._host.files.discard(_incoming(cold))
            self._host.files.add(_folder(instance))
            self._host.made[cold.migration_uuid] = instance.uuid
            self._host.coming.pop(_copy(instance, cold), None)
            new = cold.new_flavor
            guest = worlds.Guest(instance.uuid, instance.run_token, new.memory_mb)
            guest.disk_bytes, guest.vcpus = usage.disk_bytes(new), new.vcpus
            guest.power = states.Power.SHUTDOWN
            self._host.guests[instance.uuid] = guest

    def settle(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Forget the move."""
        del instance
        self._trip("settle")
        with self._world.lock:
            self._host.made.pop(cold.migration_uuid, None)

    def undo_cold(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Remove copies and guest."""
        self._trip("undo_cold")
        with self._world.lock:
            made = self._host.made.get(cold.migration_uuid)
            guest = self._host.guests.get(instance.uuid)
            if made and guest is not None and guest.power in ALIVE:
                raise errors.Conflict(f"server {instance.uuid} runs on {self._conf.host}")
            self._host.files.discard(_incoming(cold))
            self._host.coming.pop(_copy(instance, cold), None)
            self._host.copies = {
                key: chunks
                for key, chunks in self._host.copies.items()
                if key[0] != cold.migration_uuid
            }
            if made:
                del self._host.made[cold.migration_uuid]
                self._host.guests.pop(instance.uuid, None)
                self._host.files.discard(_folder(instance))

    def _trip(self, method: str) -> None:
        raise NotImplementedError

    def _room(self, *, over_commit: bool) -> int:
        raise NotImplementedError


def _file(instance: objects.Instance, name: str, size: int) -> objects.CopyFile:
    path = f"{_folder(instance)}/{name}"
    return objects.CopyFile(name=name, path=path, size=size, allocated=size)


def _digest(name: str, number: int) -> str:
    return hashlib.sha256(f"{name} {number}".encode()).hexdigest()


def _folder(instance: objects.Instance) -> str:
    return f"instances/{instance.uuid}"


def _kept(cold: objects.ColdMove) -> str:
    return f"kept/{cold.migration_uuid}"


def _incoming(cold: objects.ColdMove) -> str:
    return f"incoming/{cold.migration_uuid}"


def _copy(instance: objects.Instance, cold: objects.ColdMove) -> str:
    """Name the disk that grows of the copies, beside one that the server may have here."""
    return f"{_incoming(cold)}/{instance.uuid}"

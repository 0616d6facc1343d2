"""The part of the libvirt driver that moves guests which are off: each method to its module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.compute.virt import cold as contract
from services.compute.virt import local
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import trouble
from services.compute.virt.libvirt.cold import arrival
from services.compute.virt.libvirt.cold import chunks
from services.compute.virt.libvirt.cold import departure
from services.compute.virt.libvirt.cold import places
from services.compute.virt.libvirt.cold import upload

if TYPE_CHECKING:
    import libvirt

    from common import clock
    from common import objects
    from services.compute import native
    from services.compute.virt.libvirt import connection
    from services.compute.virt.libvirt import disks
    from services.compute.virt.libvirt import facts
    from services.compute.virt.libvirt import settings


class ColdMoves(contract.ColdMoves):
    """What this host's libvirt does for a cold migration or resize."""

    REMOVE: int
    _here: settings.Settings
    _link: connection.Connection
    _making: native.Lock
    _time: clock.Clock

    def survey(self, instance: objects.Instance, cold: objects.ColdMove) -> objects.ColdMove:
        """Describe the guest's disks and this host."""
        opened = self._link.get()
        with trouble.told(f"look at server {instance.uuid}"), trouble.files("look at its disks"):
            domain = guests.demand(opened, instance.uuid, self._here.host)
            return departure.survey(self._here, self._known(), domain, instance, cold)

    def knock(self, cold: objects.ColdMove) -> None:
        """Look at the destination's libvirt, and at the pool for the copies."""
        upload.knock(self._here.host, cold)

    def freeze(self, instance: objects.Instance, cold: objects.ColdMove) -> list[objects.CopyFile]:
        """Let a running guest write into overlays."""
        opened = self._link.get()
        with trouble.told(f"freeze server {instance.uuid}"), trouble.files("look at its disks"):
            domain = guests.find(opened, instance.uuid)
            return departure.freeze(domain, self._here, instance, cold)

    def remainder(
        self, instance: objects.Instance, cold: objects.ColdMove
    ) -> list[objects.CopyFile]:
        """Name what is still to be copied of a guest that is off."""
        with trouble.files(f"look at the disks of server {instance.uuid}"):
            return departure.remainder(self._here, instance, cold)

    def copy(
        self,
        instance: objects.Instance,
        cold: objects.ColdMove,
        file: objects.CopyFile,
        have: list[str],
        sent: contract.Sent,
    ) -> list[str]:
        """Send a file over libvirt's own connection."""
        del instance
        return upload.send(cold, file, have, sent)

    def keep_aside(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Put the guest's directory aside."""
        opened = self._link.get()
        doing = f"put server {instance.uuid} aside"
        with trouble.told(doing), trouble.files(doing):
            departure.keep_aside(opened, self._here, instance, cold, self.REMOVE)

    def put_back(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Make the guest what it was."""
        opened = self._link.get()
        doing = f"put server {instance.uuid} back"
        with trouble.told(doing), trouble.files(doing):
            departure.put_back(opened, self._here, instance, cold)

    def discard(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Remove what was kept."""
        with trouble.files(f"discard what was kept of server {instance.uuid}"):
            departure.discard(self._here, cold)

    def prepare_cold(self, instance: objects.Instance, cold: objects.ColdMove) -> objects.ColdMove:
        """Check, and make ready for the copies."""
        opened = self._link.get()
        doing = f"make ready for server {instance.uuid}"
        with trouble.told(doing), trouble.files(doing), self._making:
            at = checks.Arrival(opened, self._here, self._known(), instance, self._time.now())
            stays = instance.host == self._here.host
            return arrival.prepare(arrival.Coming(at, cold, stays), self.REMOVE)

    def landed(self, instance: objects.Instance, cold: objects.ColdMove, name: str) -> list[str]:
        """Sum up a copy as it is on the disk."""
        del instance
        with trouble.files(f"read {name}"):
            return chunks.digests(places.incoming(self._here, cold) / name)

    def assemble(
        self, instance: objects.Instance, cold: objects.ColdMove, files: local.Files
    ) -> None:
        """Make the guest of its copies, and define it."""
        opened = self._link.get()
        doing = f"assemble server {instance.uuid}"
        with trouble.told(doing), trouble.files(doing):
            made = arrival.assemble(opened, self._here, instance, cold, files.disk)
            self._define(opened, instance, files, made, cold.machine_type)

    def settle(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Drop the record of this move."""
        with trouble.files(f"forget the move of server {instance.uuid}"):
            records.drop(self._here.instances, records.Role.COLD, cold.migration_uuid)

    def undo_cold(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Remove what this move made here."""
        opened = self._link.get()
        doing = f"undo the move of server {instance.uuid}"
        with trouble.told(doing), trouble.files(doing):
            arrival.undo(opened, self._here, instance, cold, self.REMOVE)

    # ---- what the whole driver has ----

    def _known(self) -> facts.Host:
        raise NotImplementedError

    def _define(
        self,
        opened: libvirt.virConnect,
        instance: objects.Instance,
        files: local.Files,
        made: list[disks.Disk],
        machine_type: str = "",
    ) -> libvirt.virDomain:
        raise NotImplementedError

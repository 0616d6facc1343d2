"""A cold move at its source: what is put aside, and what is forgotten by it."""

import errno
import os

import libvirt
import pytest

from common import errors
from common import ids
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt.cold import departure
from services.compute.virt.libvirt.cold import places
from tests import factories

COLD = records.Role.COLD


class Domain:
    """A running guest of one disk whose snapshot libvirt refuses with these words."""

    def __init__(self, disk, words: str = "") -> None:
        self._disk = disk
        self._words = words
        self.standing = [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]

    def name(self) -> str:
        """Give its name."""
        return "guest"

    def isActive(self) -> bool:  # noqa: N802 - libvirt's name
        """It runs, or is paused."""
        return True

    def XMLDesc(self, _flags: int = 0) -> str:  # noqa: N802 - libvirt's name
        """Describe its disk."""
        return (
            "<domain><devices><disk type='file' device='disk'>"
            f"<source file='{self._disk}'/><target dev='vda'/></disk></devices></domain>"
        )

    def snapshotCreateXML(self, *_given: object) -> None:  # noqa: N802 - libvirt's name
        """Refuse."""
        raise libvirt.libvirtError(self._words)

    def state(self) -> list[int]:
        """Say how it stands, and why."""
        return self.standing

    def resume(self) -> None:
        """Go on."""
        self.standing = [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED]


@pytest.mark.parametrize("words", ["snapshots of raw disks are not supported", "internal error"])
def test_guest_that_takes_no_snapshot_is_copied_once_it_is_off(here, words):
    """Whatever libvirt has against it."""
    server, move = factories.instance(), factories.cold_move()
    disk = here.folder(server.uuid) / "disk"

    assert [] == departure.freeze(Domain(disk, words), here, server, move)


def test_full_source_powers_nobody_off(here):
    """There is no room for a snapshot; the move fails with that reason, and the guest runs on."""
    server, move = factories.instance(), factories.cold_move()
    words = f"Unable to create file: {os.strerror(errno.ENOSPC)}"
    domain = Domain(here.folder(server.uuid) / "disk", words)

    with pytest.raises(errors.NoDiskSpace, match=r"host1 has no disk free: .*No space left"):
        departure.freeze(domain, here, server, move)


@pytest.mark.parametrize(
    ("reason", "goes_on"),
    [
        (libvirt.VIR_DOMAIN_PAUSED_IOERROR, True),
        (libvirt.VIR_DOMAIN_PAUSED_USER, False),
    ],
)
def test_guest_that_ran_out_of_disk_goes_on(here, monkeypatch, reason, goes_on):
    """Once it is whole again; one that its user paused stays so. A stray overlay goes."""
    server, move = factories.instance(), factories.cold_move()
    folder = here.folder(server.uuid)
    folder.mkdir()
    for name in ("disk", "disk.delta"):
        (folder / name).touch()
    domain = Domain(folder / "disk")
    domain.standing = [libvirt.VIR_DOMAIN_PAUSED, reason]
    monkeypatch.setattr(guests, "find", lambda *_: domain)

    departure.put_back(None, here, server, move)

    assert goes_on == (domain.standing[0] == libvirt.VIR_DOMAIN_RUNNING)
    assert ["disk"] == [path.name for path in folder.iterdir()]


def test_definition_that_finds_no_room_is_not_there(connection, here, domain, monkeypatch):
    """The guest is still defined then, and put back from nothing by halves."""
    server = factories.instance(uuid=domain.UUIDString())
    move = factories.cold_move()
    here.folder(server.uuid).mkdir()
    domain.destroy()

    def full(_path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disks, "flush", full)

    with pytest.raises(OSError, match="No space left"):
        departure.keep_aside(connection, here, server, move, 0)

    assert [] == list(here.folder(server.uuid).iterdir())
    assert guests.find(connection, server.uuid) is not None


def test_guest_put_aside_leaves_the_record_of_its_own_move(connection, here):
    """A resize that stays on its host has it there; those of earlier moves are forgotten."""
    server, move = factories.instance(), factories.cold_move()
    here.folder(server.uuid).mkdir()
    mine = records.Record(move.migration_uuid, server.uuid, [str(places.incoming(here, move))])
    earlier = records.Record(ids.new(), server.uuid, [str(here.folder(server.uuid))])
    for record in (mine, earlier):
        records.write(here.instances, COLD, record)

    departure.keep_aside(connection, here, server, move, 0)

    assert places.kept(here, move).exists()
    assert mine == records.read(here.instances, COLD, mine.migration)
    assert records.read(here.instances, COLD, earlier.migration) is None

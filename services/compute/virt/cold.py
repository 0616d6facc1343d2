"""The contract of a hypervisor driver for cold moves: copy, keep aside, put together, put back.

It holds to the rules of virt.driver: every method may block, and may be
repeated.
"""

from __future__ import annotations

import abc
from typing import Protocol
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common import objects
    from services.compute.virt import local

# Bytes of a copy that are compared as one.
CHUNK = 16 << 20


class Sent(Protocol):
    """Hears of every piece of a copy, in bytes that are no holes.

    It may wait, to keep to a bandwidth; what it raises ends the copy.
    """

    def __call__(self, count: int, /, *, over: bool = False) -> None:
        """Take a piece that was sent, or that is `over` from an earlier try."""
        ...


class ColdMoves(abc.ABC):
    """What one host does for a cold migration or resize."""

    # ---- a cold move, at its source ----

    @abc.abstractmethod
    def survey(self, instance: objects.Instance, cold: objects.ColdMove) -> objects.ColdMove:
        """Fill in the source's part: every disk of the guest, and what this host is.

        CheckFailed for a disk that cannot travel: it is not in the server's directory.
        """

    @abc.abstractmethod
    def knock(self, cold: objects.ColdMove) -> None:
        """Connect to the destination as copy() will, and let go; CopyPathClosed says to what."""

    @abc.abstractmethod
    def freeze(self, instance: objects.Instance, cold: objects.ColdMove) -> list[objects.CopyFile]:
        """Let a running guest write beside its disks, and name the files that stay as they are.

        Empty where that cannot be, or for a guest that was off: then all is
        copied after power-off. A repeat names the same files again, even when
        the guest has gone off meanwhile.
        """

    @abc.abstractmethod
    def remainder(
        self, instance: objects.Instance, cold: objects.ColdMove
    ) -> list[objects.CopyFile]:
        """Name the files that freeze() has not named; the guest is off."""

    @abc.abstractmethod
    def copy(
        self,
        instance: objects.Instance,
        cold: objects.ColdMove,
        file: objects.CopyFile,
        have: list[str],
        sent: Sent,
    ) -> list[str]:
        """Bring a file to the destination, but the chunks whose sums in `have` agree.

        Gives the XXH3-128, in hex, of every CHUNK of the file as it is here. `sent` is
        called, in this thread, once the connection stands, before anything is
        changed at the destination, and after each piece that was sent or left
        out. Holes are not sent. Unavailable means that the connection broke:
        a repeat goes on from there.
        """

    @abc.abstractmethod
    def keep_aside(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Put the guest, which is off, aside: all of its disks in a folder, no definition.

        Conflict when it runs.
        """

    @abc.abstractmethod
    def put_back(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Undo freeze() and keep_aside(), as far as they were done; it is not started.

        A guest that runs goes on running, on its own disks again. NoDiskSpace
        when they cannot become whole; power_on() starts it all the same, and a
        repeat tries again.
        """

    @abc.abstractmethod
    def discard(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Remove what keep_aside() has kept, and nothing else."""

    # ---- a cold move, at its destination ----

    @abc.abstractmethod
    def prepare_cold(self, instance: objects.Instance, cold: objects.ColdMove) -> objects.ColdMove:
        """Check that the guest of the new flavor can live here, and make the folder for its copies.

        Fills in the destination's part. CheckFailed and its kinds say what is
        in the way, with numbers; nothing is left then. A repeat is fine.
        """

    @abc.abstractmethod
    def landed(self, instance: objects.Instance, cold: objects.ColdMove, name: str) -> list[str]:
        """Give the XXH3-128 in hex of each CHUNK of a copy, as it is read back from the disk."""

    @abc.abstractmethod
    def assemble(
        self, instance: objects.Instance, cold: objects.ColdMove, files: local.Files
    ) -> None:
        """Make the guest of its copies: on this host's image, grown to its flavor, defined.

        It is not started. A repeat, whatever of it was done, ends the same.
        DiskExists when files of the server are here that this move did not make.
        """

    @abc.abstractmethod
    def settle(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Forget that this move made the guest: from now on undo_cold() removes nothing."""

    @abc.abstractmethod
    def undo_cold(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Remove what this move made here, copies and assembled guest, and nothing else.

        Conflict when the guest that assemble() made runs; the source's own,
        on a move that stays on its host, is not in the way.
        """

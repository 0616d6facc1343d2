"""A simulated world in several processes: they hand guests over in a folder.

A file of the folder is a guest on its way, written by the process in which it
was and taken by the one that simulates its new host. The files of a storage
pool are files too, so that a test file is seen by every host of the pool.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from typing import TYPE_CHECKING

from common import states
from services.compute.virt.simulated import world as worlds

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Sequence

    from common.clock import Clock
    from services.compute.fleet.member import Member


class World(worlds.World):
    """The part of a world that this process simulates."""

    def __init__(
        self, clock: Clock, *, seed: int = 0, folder: str = "", own: Collection[str] = ()
    ) -> None:
        """Simulate the hosts of these names; without a folder all hosts are here."""
        super().__init__(clock, seed=seed)
        self._folder = pathlib.Path(folder) if folder else None
        self._own = frozenset(own)

    def deliver(self, host: worlds.Host) -> None:
        """Write down the guests that have gone to a host of another process."""
        if self._folder is None or host.name in self._own:
            return
        with self.lock:
            gone = list(host.guests.values())
            host.guests.clear()
        place = self._folder / "guests" / host.name
        for guest in gone:
            place.mkdir(parents=True, exist_ok=True)
            draft = place / f".{guest.uuid}"
            draft.write_text(json.dumps(dataclasses.asdict(guest)))
            draft.rename(place / guest.uuid)

    def receive(self, host: worlds.Host) -> None:
        """Take the guests that other processes have written down for this host."""
        if self._folder is None:
            return
        for path in (self._folder / "guests" / host.name).glob("[!.]*"):
            values = json.loads(path.read_text())
            power = states.Power(values.pop("power"))
            host.guests[values["uuid"]] = worlds.Guest(**values, power=power)
            path.unlink()


class Pool(set[str]):
    """The files that hosts of one storage pool share, across processes."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Keep them in this folder."""
        super().__init__()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, element: str) -> None:
        """Make a file."""
        self._path(element).touch()

    def discard(self, element: object) -> None:
        """Remove a file that may be there."""
        self._path(element).unlink(missing_ok=True)

    def __contains__(self, element: object) -> bool:
        return self._path(element).exists()

    def _path(self, element: object) -> pathlib.Path:
        return self._folder / hashlib.sha256(str(element).encode()).hexdigest()


def furnish(world: World, members: Sequence[Member], folder: str) -> None:
    """Give every host of the topology its pool and its behaviour, also those of other processes."""
    pools: dict[str, set[str]] = {}
    for member in members:
        host = world.host(member.name)
        host.slow, host.fails = member.slow, member.fails
        if member.features is not None:
            host.facts = host.facts.replace(features=sorted(member.features))
        if member.cpu is not None:
            host.facts = host.facts.replace(cpu=member.cpu)
        if member.pool is not None:
            host.files = pools.setdefault(member.pool, _pool(folder, member.pool))
            host.storage = member.pool


def _pool(folder: str, name: str) -> set[str]:
    return Pool(pathlib.Path(folder) / "pools" / name) if folder else set()

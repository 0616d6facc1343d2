"""A live migration as its destination sees it: make ready, take over, undo.

Each move has one thing done to it at a time here. Once it was undone nothing
is made for it any more: a preparation that its source has given up waiting
for, or that comes late, leaves nothing.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

# Seconds for which an undo waits for a preparation: less than its caller waits.
PATIENCE = 15.0
REMEMBERED = 1000  # moves that were undone here


class Incoming:
    """The guests that come to this host."""

    def __init__(self, deps: Deps, patience: float = PATIENCE) -> None:
        """Begin with none."""
        self._deps = deps
        self._patience = patience
        self._busy: set[str] = set()
        self._undone: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._free = threading.Condition()

    def prepare(
        self, instance: objects.Instance, migration: objects.Migration
    ) -> objects.LibvirtLiveMigrateData:
        """Make ready for the guest; what was made before a failure, or an undo, is removed again.

        WrongState when the move was undone here, before or meanwhile.
        """
        deps = self._deps
        with self._turn(migration, None):
            # Its checks are over, and their test file has no other use.
            deps.threads.native(deps.driver.clean_check, migration.data)
            self._wanted(migration)
            files = deps.threads.native(deps.cache.files, instance)
            self._wanted(migration)
            try:
                made = deps.threads.native(deps.driver.prepare, instance, migration.data, files)
                self._wanted(migration)
            except errors.DiskExists:
                # Somebody else's files are there: nothing was made, and nothing is removed.
                raise
            except errors.Error:
                self._remove(instance, migration)
                raise
            return made

    def finish(self, instance: objects.Instance, migration: objects.Migration) -> objects.Arrival:
        """See the guest run here and keep it; tell its power state, and what was measured."""
        deps = self._deps
        power = deps.threads.native(deps.driver.finish, instance, migration.data)
        if power == states.Power.PAUSED and instance.vm_state == states.Vm.ACTIVE:
            # It was made to stand still only to let the move end.
            deps.threads.native(deps.driver.unpause, instance)
            power = states.Power.RUNNING
        LOG.info("migration %s: server %s has arrived", migration.uuid, instance.uuid)
        measured = deps.threads.native(deps.driver.measured, instance.uuid)
        return objects.Arrival(power_state=int(power), **measured._asdict())

    def undo(self, instance: objects.Instance, migration: objects.Migration) -> None:
        """Remove what this attempt made here, and nothing else; it makes no more from now on.

        NoAnswer while a preparation goes on that does not end soon: it removes
        what it has made, and the undo may be asked for again.
        """
        with self._free:
            self._undone[migration.uuid] = None
            self._undone.move_to_end(migration.uuid)
            while len(self._undone) > REMEMBERED:
                self._undone.popitem(last=False)
        with self._turn(migration, self._patience):
            self._remove(instance, migration)

    def let_go(self, instance: objects.Instance, migration: objects.Migration) -> int:
        """End the dead streams over which the guest waits here, so that it takes a new one.

        WrongState when the guest would only lose by it.
        """
        ended = self._deps.threads.native(self._deps.driver.let_go, instance, migration.data)
        if ended:
            LOG.info("migration %s: %d dead streams ended here", migration.uuid, ended)
        return ended

    def _remove(self, instance: objects.Instance, migration: objects.Migration) -> None:
        self._deps.threads.native(self._deps.driver.undo, instance, migration.data)
        LOG.info("migration %s: nothing of it is left here", migration.uuid)

    def _wanted(self, migration: objects.Migration) -> None:
        if migration.uuid in self._undone:
            raise errors.WrongState(
                f"migration {migration.uuid} was undone on {self._deps.conf.host}: nothing is "
                "prepared for it any more"
            )

    @contextlib.contextmanager
    def _turn(self, migration: objects.Migration, patience: float | None) -> Iterator[None]:
        """Be the only one who works on the move while the block lasts."""
        uuid = migration.uuid
        with self._free:
            if not self._free.wait_for(lambda: uuid not in self._busy, patience):
                raise errors.NoAnswer(
                    f"{self._deps.conf.host} is still preparing migration {uuid}, and removes what "
                    "it has made as soon as that ends"
                )
            self._busy.add(uuid)
        try:
            yield
        finally:
            with self._free:
                self._busy.discard(uuid)
                self._free.notify_all()

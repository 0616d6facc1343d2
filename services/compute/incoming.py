"""A live migration as its destination sees it: check, make ready, take over, undo."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import states

if TYPE_CHECKING:
    from common import objects
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)


def prepare(
    deps: Deps, instance: objects.Instance, migration: objects.Migration
) -> objects.LibvirtLiveMigrateData:
    """Make ready for the guest; what was made before a failure is removed again."""
    files = deps.threads.native(deps.cache.files, instance)
    try:
        return deps.threads.native(deps.driver.prepare, instance, migration.data, files)
    except errors.DiskExists:
        # Somebody else's files are there: nothing was made, and nothing is removed.
        raise
    except errors.Error:
        undo(deps, instance, migration)
        raise


def finish(deps: Deps, instance: objects.Instance, migration: objects.Migration) -> int:
    """See the guest run here and keep it; gives its power state."""
    power = deps.threads.native(deps.driver.finish, instance, migration.data)
    if power == states.Power.PAUSED and instance.vm_state == states.Vm.ACTIVE:
        # It was made to stand still only to let the move end.
        deps.threads.native(deps.driver.unpause, instance)
        power = states.Power.RUNNING
    LOG.info("migration %s: server %s has arrived", migration.uuid, instance.uuid)
    return int(power)


def undo(deps: Deps, instance: objects.Instance, migration: objects.Migration) -> None:
    """Remove what this attempt made here, and nothing else."""
    deps.threads.native(deps.driver.undo, instance, migration.data)
    LOG.info("migration %s: nothing of it is left here", migration.uuid)


def let_go(deps: Deps, instance: objects.Instance, migration: objects.Migration) -> int:
    """End the dead streams over which the guest waits here, so that it takes a new one."""
    ended = deps.threads.native(deps.driver.let_go, instance, migration.data)
    if ended:
        LOG.info("migration %s: %d dead streams ended here", migration.uuid, ended)
    return ended

"""What a source keeps is removed only after its guest was seen at the destination.

A guest that should run and does not may have its last good disks at the
source: the move stays `finished` then, and its row says what was seen.
"""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import states
from common.db import moves
from common.db import servers
from services.conductor import liveness
from services.conductor.cold import entering
from services.conductor.cold import steps

if TYPE_CHECKING:
    from common import objects
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

STEP = "confirm_resize"


def require(deps: Deps, migration: objects.Migration, instance: objects.Instance) -> None:
    """See the guest at its destination as the records have it, or raise WrongState.

    What is seen becomes the record, so its user may keep a guest that went
    off since, by asking again; not one of which nothing is there.
    """
    seen = _look(deps, migration, instance)
    doubt = _doubt(migration, seen, instance.power_state)
    if doubt is None:
        return
    with deps.database.write() as tx:
        moves.advance(tx, migration, error_message=doubt)
        if _there(seen):
            servers.change(
                tx,
                instance.uuid,
                expect={"generation": instance.generation},
                power_state=seen.power_state,
            )
    again = "; confirm it again to keep it so" if _there(seen) else ""
    raise errors.WrongState(
        f"server {instance.uuid} is not confirmed: {doubt}{again}; revert it to have back what "
        f"{migration.source} keeps"
    )


def by_itself(deps: Deps, migration: objects.Migration) -> None:
    """Begin to confirm a finished move that nobody confirmed, once its guest is seen.

    It is due again a lease later, so that neither a guest that does not run
    nor a conductor that dies ends the matter.
    """
    if steps.cold(migration).then_delete:
        _enter(deps, migration)
        return
    later = deps.clock.now() + datetime.timedelta(seconds=deps.conf.conductor.lease)
    try:
        with deps.database.write() as tx:
            mine = moves.advance(tx, migration, confirm_at=later)
    except errors.StaleWrite as decided:
        LOG.info("migration %s: somebody has decided: %s", migration.uuid, decided)
        return
    deps.pool.submit(_quietly, deps, mine)


def _quietly(deps: Deps, migration: objects.Migration) -> None:
    contexts.adopt(contexts.admin(migration.request_id))
    try:
        doubt = _unseen(deps, migration)
        if doubt is None:
            _enter(deps, migration)
        else:
            _tell(deps, migration, doubt)
    except errors.Error as decided:
        LOG.info("migration %s: left as it is: %s", migration.uuid, decided)
    except Exception:
        LOG.exception("migration %s: not confirmed; it is looked at again", migration.uuid)


def _unseen(deps: Deps, migration: objects.Migration) -> str | None:
    """Say why the guest was not seen; one that ran has to, whatever became of it since."""
    ran = steps.cold(migration).was == states.Vm.ACTIVE
    with deps.database.read() as tx:
        instance = servers.get(tx, migration.instance_uuid)
    try:
        seen = _look(deps, migration, instance)
    except errors.Error as silence:
        return f"{migration.destination} cannot be asked for its guest: {silence}"
    return _doubt(migration, seen, states.Power.RUNNING if ran else states.Power.SHUTDOWN)


def _look(
    deps: Deps, migration: objects.Migration, instance: objects.Instance
) -> objects.GuestSeen:
    host = str(migration.destination)
    with deps.database.read() as tx:
        liveness.require(deps, tx, host, "asked for its guest")
    return deps.compute(host).observe_guest(contexts.admin(migration.request_id), instance)


def _doubt(migration: objects.Migration, seen: objects.GuestSeen, expected: int) -> str | None:
    """Say what is wrong with a guest; None for one that runs, or is as it is expected."""
    if not _there(seen):
        return f"{migration.destination} has nothing of its guest"
    if seen.power_state in {states.Power.RUNNING, expected}:
        return None
    power, wanted = (
        states.Power(int(one or 0)).name.lower() for one in (seen.power_state, expected)
    )
    return f"its guest on {migration.destination} is {power}, and should be {wanted}"


def _there(seen: objects.GuestSeen) -> bool:
    return seen.power_state not in {None, states.Power.NOSTATE}


def _tell(deps: Deps, migration: objects.Migration, doubt: str) -> None:
    """Write why it does not confirm itself."""
    with deps.database.write() as tx:
        moves.advance(tx, migration, error_message=doubt)
    LOG.warning("migration %s: does not confirm itself: %s", migration.uuid, doubt)


def _enter(deps: Deps, migration: objects.Migration) -> None:
    try:
        with deps.database.write() as tx:
            entered = entering.enter(deps, tx, migration, STEP, confirm_at=None, error_message=None)
    except errors.StaleWrite as decided:
        LOG.info("migration %s: somebody has decided: %s", migration.uuid, decided)
        return
    LOG.info("migration %s: confirms itself", migration.uuid)
    entering.send(deps, entered)

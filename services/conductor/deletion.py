"""What a deleted server leaves: room, names and guests, on every host that may have one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import states
from common.db import claims
from common.db import groups
from common.db import journal
from common.db import moves
from common.db import networks

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

# What a build that was given up may be when its guest turns up after all.
GIVEN_UP = frozenset({states.Vm.ERROR, states.Vm.DELETED})


def take_back(deps: Deps, context: Context, instance: objects.Instance, host: str) -> None:
    """Have a guest removed that was built after its server was given up."""
    if instance.vm_state not in GIVEN_UP or instance.launched_at is not None:
        return
    LOG.warning("server %s: its guest on %s came too late and is removed", instance.uuid, host)
    remove(deps, context, instance, host)


def release(tx: Tx, instance: objects.Instance) -> set[str]:
    """Give back all that is held for the server, also by a move that nobody understood.

    Gives the other hosts of such moves: the guest may be there.
    """
    hosts: set[str] = set()
    left = moves.unsettled(tx, instance.uuid)
    claims.lock_held(tx, [instance.uuid, *(move.uuid for move in left)])
    claims.release(tx, instance.uuid)
    groups.leave(tx, instance.uuid)
    networks.release(tx, instance.uuid)
    for move in left:
        claims.release(tx, move.uuid)
        hosts |= {move.source, move.destination or move.source}
    return hosts - {instance.host}


def finish_all(deps: Deps, tx: Tx, server: str) -> None:
    """End every action on a server that is gone: one end answers all who asked to delete it."""
    for asked in journal.actions(tx, server):
        if asked.finished_at is None:
            journal.finish(tx, asked.request_id, server, deps.clock.now())


def remove(deps: Deps, context: Context, instance: objects.Instance, host: str) -> None:
    """Have a host remove whatever it has of a server that is not there by any record."""
    try:
        deps.compute(host).operate(context, instance, "delete")
    except errors.Unavailable as away:
        LOG.error("server %s: look on %s for a leftover of it: %s", instance.uuid, host, away)  # noqa: TRY400 - the sentence says all

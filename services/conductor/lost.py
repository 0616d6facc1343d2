"""Builds and operations that nobody reports on: their message was lost, so it is sent again.

A compute that is at work on it drops the repeat; one that has done it reports
again.
"""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import states
from common.db import journal
from common.db import servers
from services.conductor import building
from services.conductor import liveness
from services.conductor import servers as stationary

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

OPERATIONS = {row.during: name for name, row in states.OPERATIONS.items()}


def tick(deps: Deps) -> None:
    """Look after every server whose task has not changed for a lease."""
    old = deps.clock.now() - datetime.timedelta(seconds=deps.conf.conductor.lease)
    with deps.database.read() as tx:
        busy = servers.find(tx, task_state=[states.Task.SPAWNING, *OPERATIONS])
    for server in busy:
        if server.updated_at is not None and server.updated_at < old:
            _care(deps, server)


def _care(deps: Deps, server: objects.Instance) -> None:
    """Send again what was lost; a server that changed meanwhile needs nothing."""
    try:
        with deps.database.write() as tx:
            servers.change(tx, server.uuid, expect={"generation": server.generation})
        again(deps, server)
    except errors.Conflict as decided:
        LOG.info("server %s: left as it is: %s", server.uuid, decided)
    except errors.Error as away:
        LOG.warning("server %s: %s goes on waiting: %s", server.uuid, server.task_state, away)


def again(deps: Deps, server: objects.Instance) -> None:
    """Tell the server's host what its task is; a host that is gone for good need not delete it.

    Unavailable while the host cannot be told.
    """
    context = _context(deps, server)
    if server.host is None:
        building.orphaned(deps, context, server)
        return
    LOG.info("server %s: %s is told: %s", server.uuid, server.host, server.task_state)
    if server.task_state == states.Task.SPAWNING:
        deps.compute(server.host).build_server(context, server)
        return
    operation = OPERATIONS[states.Task(str(server.task_state))]
    if operation == "delete" and _given_up(deps, server.host):
        LOG.warning("server %s: deleted without %s", server.uuid, server.host)
        stationary.settle(deps, context, server, operation, states.Power.NOSTATE)
        return
    stationary.order(deps, context, server, operation)


def _context(deps: Deps, server: objects.Instance) -> Context:
    """Give the request that asked last for something."""
    with deps.database.read() as tx:
        asked = journal.actions(tx, server.uuid, limit=1)
    return contexts.admin(asked[0].request_id if asked else None)


def _given_up(deps: Deps, host: str) -> bool:
    with deps.database.read() as tx:
        return liveness.given_up(deps, tx, host)

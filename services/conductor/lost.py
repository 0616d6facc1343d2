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
            asked = journal.actions(tx, server.uuid, limit=1)
        context = contexts.admin(asked[0].request_id if asked else None)
        _send(deps, context, server)
    except errors.Conflict as decided:
        LOG.info("server %s: left as it is: %s", server.uuid, decided)
    except errors.Error as away:
        LOG.warning("server %s: %s goes on waiting: %s", server.uuid, server.task_state, away)


def _send(deps: Deps, context: Context, server: objects.Instance) -> None:
    if server.host is None:
        building.orphaned(deps, context, server)
        return
    LOG.info("server %s: %s is told again: %s", server.uuid, server.host, server.task_state)
    if server.task_state == states.Task.SPAWNING:
        deps.compute(server.host).build_server(context, server)
        return
    stationary.order(deps, context, server, OPERATIONS[states.Task(str(server.task_state))])

"""Servers that do not run yet: written, placed, and built by a host."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import ids
from common import objects
from common import reasons
from common import states
from common.db import claims
from common.db import groups
from common.db import journal
from common.db import networks
from common.db import servers
from services.conductor import deletion
from services.conductor import failures
from services.conductor import liveness
from services.conductor import placement
from services.conductor import search
from services.conductor import servers as stationary

if TYPE_CHECKING:
    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

EVENT = "compute_build_server"


def create(deps: Deps, context: Context, request: objects.NewServer) -> objects.Instance:
    """Write the server as building; place() then looks for its host."""
    if request.requested_host is not None:
        with deps.database.read() as tx:
            liveness.require(deps, tx, request.requested_host, "the host of a new server")
    with deps.database.write() as tx:
        instance = servers.create(tx, draft(deps, context, request))
        servers.amend(tx, instance.uuid, placement={"requested": request.requested_host})
        for group in request.hints.get("group", []):
            groups.join(tx, group, instance.uuid)
        for network in request.networks:
            networks.allocate(tx, network, instance.uuid)
        instance = servers.get(tx, instance.uuid)
        journal.start(tx, stationary.action(deps, context, instance.uuid, "create"))
    LOG.info("server %s (%s) is accepted", instance.uuid, instance.name)
    return instance


def place(deps: Deps, context: Context, instance: objects.Instance) -> None:
    """Find a host and have the guest built there; what fails ends in the row."""
    contexts.adopt(context)
    try:
        with deps.database.read() as tx:
            sought = servers.placement(tx, instance.uuid)
        looking = search.Search(
            deps,
            context,
            placement.spec(deps.conf, instance, requested_host=sought.get("requested")),
            instance.fault_reasons,
            sought.get("alternates", ()),
        )
        host = looking.next()
        sought["alternates"] = looking.alternates
        placed = _settle_on(deps, context, instance, host, sought)
        deps.compute(host).build_server(context, placed)
    except errors.Error as error:
        _fail_build(deps, context, instance, error)
    except Exception as error:
        LOG.exception("server %s: looking for a host failed", instance.uuid)
        _fail_build(deps, context, instance, errors.RemoteError(f"unexpected: {error}"))


def again(
    deps: Deps, context: Context, server: str, generation: int, error: errors.Error
) -> objects.Instance | None:
    """Take a server that one host could not build back, for place() to find another.

    Gives None when there is nothing to look for: the report is late, the host
    was named, as many were tried as may be, or no other could do it either.
    """
    with deps.database.write() as tx:
        found = servers.get(tx, server, deleted=True)
        if found.generation != generation or found.task_state != states.Task.SPAWNING:
            return None
        host = str(found.host)
        failures.count(deps, tx, host, error.code)
        tried = reasons.merge(
            found.fault_reasons or {}, {host: reasons.one(error.code, error.message)}
        )
        changes: dict[str, object] = {"fault_reasons": tried}
        named = servers.placement(tx, server).get("requested") is not None
        last = (
            named
            or len(tried) >= deps.conf.scheduler.max_attempts
            or failures.asked_wrongly(error.code)
        )
        if not last:
            claims.release(tx, server)
            changes |= {"host": None, "availability_zone": found.pinned_zone}
            now = deps.clock.now()
            journal.end_event(tx, context.request_id, server, EVENT, host, now, error.message)
        after = servers.change(tx, server, expect={"generation": generation}, **changes)
    LOG.warning("server %s: %s could not build it: %s", server, host, error)
    return None if last else after


def orphaned(deps: Deps, context: Context, instance: objects.Instance) -> None:
    """End a server whose conductor is gone before it had a host."""
    gone = errors.NoAnswer(
        f"the conductor that looked for a host for server {instance.uuid} is gone; "
        "delete the server and create it again"
    )
    stationary.fail(deps, context, instance, stationary.BUILD, gone, states.Power.NOSTATE)


def draft(deps: Deps, context: Context, request: objects.NewServer) -> objects.Instance:
    """Make the server that is asked for; nothing is written."""
    return objects.Instance(
        uuid=ids.new(),
        name=request.name,
        hostname=request.hostname or request.name,
        description=request.description,
        project_id=context.project_id or "",
        user_id=context.user_id or "",
        pinned_zone=request.availability_zone,
        availability_zone=request.availability_zone,
        task_state=states.Task.SPAWNING,
        flavor=request.flavor,
        image=request.image,
        kernel=request.kernel,
        ramdisk=request.ramdisk,
        metadata=request.metadata,
        hints=request.hints or None,
        run_token=ids.new(),
        created_at=deps.clock.now(),
    )


def _settle_on(
    deps: Deps,
    context: Context,
    instance: objects.Instance,
    host: str,
    sought: dict[str, object],
) -> objects.Instance:
    with deps.database.write() as tx:
        zone = liveness.node(deps, tx, host).availability_zone
        placed = servers.change(
            tx,
            instance.uuid,
            expect={"generation": instance.generation},
            host=host,
            availability_zone=zone,
            placement=sought,
        )
        journal.begin_event(tx, context.request_id, instance.uuid, EVENT, host, deps.clock.now())
    return placed


def _fail_build(
    deps: Deps, context: Context, instance: objects.Instance, error: errors.Error
) -> None:
    """Write why there is no guest, unless the server was given up meanwhile."""
    with deps.database.write() as tx:
        now = servers.get(tx, instance.uuid, deleted=True)
        # A guest that runs after all keeps its room.
        if now.vm_state in deletion.GIVEN_UP:
            claims.release(tx, instance.uuid)
    if now.task_state == states.Task.SPAWNING:
        stationary.fail(deps, context, now, stationary.BUILD, error, states.Power.NOSTATE)

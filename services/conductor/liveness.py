"""Is a host there to work: the one place that turns silence into a refusal."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from common import errors
from common.db import hosts
from common.db import services

if TYPE_CHECKING:
    from common import objects
    from common.db.engine import Tx
    from services.conductor.deps import Deps


def node(deps: Deps, tx: Tx, host: str) -> objects.ComputeNode:
    """Read a host with its service's state as of now, or raise HostNotFound."""
    return hosts.get(tx, host, now=deps.clock.now(), down_after=deps.conf.service.down_after)


def require(deps: Deps, tx: Tx, host: str, purpose: str) -> objects.ComputeNode:
    """Give the host, or raise HostUnsuitable because it is unknown or down."""
    try:
        found = node(deps, tx, host)
    except errors.HostNotFound as unknown:
        raise errors.HostUnsuitable(
            f"no host is named {host}; whimbrel host list shows those that are"
        ) from unknown
    if found.service is None or not found.service.up:
        raise errors.HostUnsuitable(f"{host} cannot be {purpose}: {_silence(deps, found)}")
    return found


def given_up(deps: Deps, tx: Tx, host: str) -> bool:
    """Tell whether an operator said that the host is down, whatever it reports."""
    service = node(deps, tx, host).service
    return service is not None and bool(service.forced_down)


def _silence(deps: Deps, found: objects.ComputeNode) -> str:
    service = found.service
    if service is None or service.last_seen is None:
        return "its compute service has never reported"
    if service.forced_down:
        return services.forced(found.host)
    seconds = (deps.clock.now() - service.last_seen) / datetime.timedelta(seconds=1)
    return f"its compute service is down, last seen {seconds:.0f} s ago"

"""Choosing a host: filter, weigh, claim."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import checks
from common import errors
from common import objects
from common.db import claims
from common.db import hosts
from rpc import scheduler
from services.scheduler import guards
from services.scheduler import request as requests
from services.scheduler.filters import table as filters
from services.scheduler.weighers import table as weighers

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from common.clock import Clock
    from common.context import Context
    from common.db.engine import Database

LOG = logging.getLogger(__name__)

# Hosts named in the sentence of a refusal; facts["reasons"] has all.
NAMED = 10
UNKNOWN = "no compute service has ever reported under this name"


class Manager(scheduler.Scheduler):
    """Answers rpc.scheduler.Scheduler."""

    def __init__(self, conf: ConfigOpts, database: Database, clock: Clock) -> None:
        """Choose by the filters and weights of [scheduler]; an unknown filter raises Invalid."""
        self._conf = conf
        self._database = database
        self._clock = clock
        self._filters = filters.choose(conf.scheduler.filters)

    def select_destinations(self, context: Context, spec: objects.RequestSpec) -> objects.Selection:
        """Choose the best host and claim it; others may have taken it, then the next best."""
        with self._database.read() as tx:
            request = requests.read(tx, spec)
            held = claims.held(tx, request.consumer)
            rooms = hosts.rooms(tx, self._clock.now(), self._conf.service.down_after)
        again = _held_already(request, held)
        if again is not None:
            LOG.info("server %s: %s is claimed already", spec.instance_uuid, again.host)
            return again
        fit, refusals = self._filter(rooms, request)
        return self._claim_best(spec, request, fit, refusals)

    def explain(self, context: Context, spec: objects.RequestSpec) -> list[objects.CheckResult]:
        """Ask every filter about every host that is in question; none is claimed."""
        del context
        with self._database.read() as tx:
            request = requests.read(tx, spec)
            rooms = hosts.rooms(tx, self._clock.now(), self._conf.service.down_after)
        names = self._conf.scheduler.filters
        found = [room for room in rooms if filters.wanted(room, request)]
        if request.requested_host is not None and not found:
            unknown = errors.HostUnsuitable(f"{request.requested_host}: {UNKNOWN}")
            return [checks.failed("known", request.requested_host, unknown)]
        return [answer for room in found for answer in filters.explain(names, room, request)]

    def _filter(
        self, rooms: list[hosts.Room], request: requests.Request
    ) -> tuple[list[hosts.Room], dict[str, str]]:
        fit: list[hosts.Room] = []
        refusals: dict[str, str] = {}
        for room in rooms:
            reason = filters.refusal(self._filters, room, request)
            if reason is None:
                fit.append(room)
            else:
                refusals[room.name] = reason
        return fit, _relevant(request, fit, refusals)

    def _claim_best(
        self,
        spec: objects.RequestSpec,
        request: requests.Request,
        fit: list[hosts.Room],
        refusals: dict[str, str],
    ) -> objects.Selection:
        best = weighers.rank(self._conf, fit)
        for room in best[: self._conf.scheduler.claim_attempts]:
            try:
                with self._database.write() as tx:
                    taken = claims.claim(
                        tx, room.name, request.consumer, request.amounts, guards.of(request)
                    )
            except errors.NoRoom as taken_first:
                refusals[room.name] = f"others were first: {taken_first}"
                continue
            LOG.info("server %s: %s is claimed for it", spec.instance_uuid, room.name)
            return objects.Selection(
                host=room.name, consumer=request.consumer, amounts=taken, refusals=refusals
            )
        raise _none(spec, refusals)


def _held_already(
    request: requests.Request, held: dict[str, dict[str, int]]
) -> objects.Selection | None:
    for host, amounts in sorted(held.items()):
        if host in request.ignored or request.requested_host not in {None, host}:
            continue
        return objects.Selection(host=host, consumer=request.consumer, amounts=amounts)
    return None


def _relevant(
    request: requests.Request, fit: list[hosts.Room], refusals: dict[str, str]
) -> dict[str, str]:
    """Leave out what is said of other hosts when one was asked for."""
    wanted = request.requested_host
    if wanted is None:
        return refusals
    if any(room.name == wanted for room in fit):
        return {}
    return {wanted: refusals.get(wanted, UNKNOWN)}


def _none(spec: objects.RequestSpec, refusals: dict[str, str]) -> errors.NoValidHost:
    named = [f"{host}: {reason}" for host, reason in sorted(refusals.items())]
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    told = "; ".join([*named[:NAMED], *more]) or "no compute service has reported yet"
    return errors.NoValidHost(
        f"no valid host for server {spec.instance_uuid}: {told}", reasons=dict(refusals)
    )

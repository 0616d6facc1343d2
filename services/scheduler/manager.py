"""Choosing a host: filter, weigh, claim."""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING

from common import checks
from common import errors
from common import objects
from common import reasons
from common.db import claims
from rpc import scheduler
from services.scheduler import fleet
from services.scheduler import guards
from services.scheduler.filters import table as filters
from services.scheduler.filters import wishes
from services.scheduler.weighers import table as weighers

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from common.clock import Clock
    from common.context import Context
    from common.db.engine import Database
    from common.db.hosts import Room
    from services.scheduler.request import Request

LOG = logging.getLogger(__name__)

# Looks for a host at once. A look is Python's work for the most part, of which a process
# does one thing at a time: more only take turns, connections and processor from each other.
# A claim is not counted, for it may wait for a row.
LOOKS = 3

# Who refuses when others were first.
CLAIM = "claim"
NOBODY = "no compute service has reported yet"


class Manager(scheduler.Scheduler):
    """Answers rpc.scheduler.Scheduler."""

    def __init__(
        self,
        conf: ConfigOpts,
        database: Database,
        clock: Clock,
        chance: random.Random | None = None,
    ) -> None:
        """Choose by the filters and weights of [scheduler]; one that there is not raises Invalid.

        `chance` decides among equals, and among the best few.
        """
        self._conf = conf
        self._database = database
        self._chance = chance or random.SystemRandom()
        self._looks = threading.BoundedSemaphore(LOOKS)
        self._filters = filters.choose(conf.scheduler.enabled_filters)
        self._weighers = weighers.choose(conf)
        self._fleet = fleet.Fleet(
            conf,
            clock,
            self._filters,
            weighers.orders(self._weighers),
            facts=any(one.filter.own for one in self._filters)
            or any(one.own for one in self._weighers),
        )

    def select_destinations(self, context: Context, spec: objects.RequestSpec) -> objects.Selection:
        """Choose one of the best hosts and claim it; when others are first, look again.

        A host is tried once, so this ends; it refuses only when a look finds no other.
        """
        del context
        lost: reasons.Reasons = {}
        while True:
            with self._looks, self._database.read() as tx:
                request = self._fleet.read(tx, spec)
                found = self._fleet.look(tx, request, lost)
            if not found.fit:
                raise self._none(spec, request, {**found.refused, **lost})
            chosen = self._claim_best(spec, request, found, lost)
            if chosen is not None:
                return chosen

    def explain(self, context: Context, spec: objects.RequestSpec) -> list[objects.CheckResult]:
        """Ask every filter about every host that is in question; none is claimed."""
        del context
        request, found, never = self._all(spec)
        return [
            checks.failed(by, host, errors.HostUnsuitable(f"{host}: {why}"))
            for host, (by, why) in never.items()
        ] + [answer for room in found for answer in filters.explain(self._filters, room, request)]

    def rank(self, context: Context, spec: objects.RequestSpec) -> list[objects.Rank]:
        """Give every host in question with its points, best first, or who refuses it."""
        del context
        request, rooms, never = self._all(spec)
        found = fleet.judge(self._filters, rooms, request)
        found.refused.update({host: reasons.one(*why) for host, why in never.items()})
        ranked = weighers.rank(self._weighers, found.fit, request, self._chance)
        if request.pool is not None:
            ranked.sort(key=lambda one: one.host.storage != request.pool)
        return [
            objects.Rank(host=one.host.name, score=one.score, scores=one.scores) for one in ranked
        ] + [
            objects.Rank(host=host, refusals={host: refusals})
            for host, refusals in sorted(found.refused.items())
        ]

    def _all(
        self, spec: objects.RequestSpec
    ) -> tuple[Request, list[Room], dict[str, tuple[str, str]]]:
        """Give the hosts in question, and the one that is named if it cannot be in question."""
        with self._database.read() as tx:
            request = self._fleet.read(tx, spec)
            named = request.requested_host
            rooms = self._fleet.rooms(tx, None if named is None else [named])
        found = [room for room in rooms if wishes.wanted(room, request)]
        never: dict[str, tuple[str, str]] = {}
        if named is not None and not found:
            own = (fleet.ELSEWHERE, fleet.OWN)
            never[named] = own if rooms else (fleet.KNOWN, fleet.UNKNOWN)
        return request, found, never

    def _claim_best(
        self,
        spec: objects.RequestSpec,
        request: Request,
        found: fleet.Found,
        lost: reasons.Reasons,
    ) -> objects.Selection | None:
        """Claim the first that is still free, and add those before it to the lost ones."""
        line = self._line(request, found.fit)
        for number, room in enumerate(line[: self._conf.scheduler.claim_attempts]):
            try:
                taken = self._claim(request, room.name)
            except errors.NoRoom as taken_first:
                reasons.add(lost, room.name, CLAIM, f"others were first: {taken_first}")
                continue
            LOG.info("server %s: %s is claimed for it", spec.instance_uuid, room.name)
            rest = line[number + 1 : number + 1 + spec.alternates]
            refused = {**found.refused, **lost}
            return objects.Selection(
                host=room.name,
                consumer=request.consumer,
                amounts=taken,
                refusals={host: reasons.line(told) for host, told in refused.items()},
                alternates=[other.name for other in rest],
            )
        return None

    def _claim(self, request: Request, host: str) -> dict[str, int]:
        """Claim the host, and give back in the same go what earlier requests have left."""
        consumer = request.consumer
        with self._database.write() as tx:
            taken = claims.claim(tx, host, consumer, request.amounts, guards.of(request))
            if request.late:
                # A move that was ended meanwhile has made one of them the server's own again.
                left = request.late.keys() & claims.late(tx, consumer).keys()
                for other in sorted(left - {host}):
                    claims.release(tx, consumer, other)
        return taken

    def _line(self, request: Request, fit: list[Room]) -> list[Room]:
        """Give the hosts in the order in which they are tried: any of the best few comes first.

        A host that is behind the best by more than the margin is none of them.
        """
        chosen = self._conf.scheduler
        ranked = weighers.rank(self._weighers, fit, request, self._chance)
        line = [one.host for one in ranked]
        near = [one for one in ranked if one.score >= ranked[0].score - chosen.host_subset_margin]
        few = min(chosen.host_subset_size, len(near))
        if few > 1:
            line.insert(0, line.pop(self._chance.randrange(few)))
        # A repeat gives what was given before, if it is still what is asked for.
        return sorted(line, key=lambda room: request.late.get(room.name) != request.amounts)

    def _none(
        self, spec: objects.RequestSpec, request: Request, tried: reasons.Reasons
    ) -> errors.NoValidHost:
        """Say why of every host: only now those are looked at that the database left out."""
        with self._database.read() as tx:
            found = self._fleet.why(tx, request, tried)
        told = reasons.sentence(found, NOBODY)
        LOG.info("server %s: no host of %s is left", spec.instance_uuid, len(found))
        return errors.NoValidHost(
            f"no valid host for server {spec.instance_uuid}: {told}", reasons=found
        )

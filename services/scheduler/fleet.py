"""The hosts as a request sees them: a few of the best, more if none of those will do."""

from __future__ import annotations

import datetime
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import reasons
from common import states
from common.db import candidates
from common.db import claims
from common.db import rooms
from services.scheduler import request as requests
from services.scheduler.filters import table as filters
from services.scheduler.filters import wishes

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Iterable
    from collections.abc import Mapping

    from oslo_config.cfg import ConfigOpts

    from common import objects
    from common.clock import Clock
    from common.db.engine import Tx
    from common.db.hosts import Room
    from services.scheduler.request import Request

# How much wider one look is than the one before; the last one takes all hosts.
WIDER = 16

# Hosts whose reasons are kept; what refuses thousands is seen in the first hundreds.
KEPT = 500

# Who refuses what no filter does.
KNOWN = "known"
UNKNOWN = "no compute service has ever reported under this name"
OWN = "it is the server's own host"
ELSEWHERE = "ignored"


class Found(NamedTuple):
    """The hosts that will do, and why others will not."""

    fit: list[Room]
    refused: reasons.Reasons


class Fleet:
    """All hosts there are, read in part."""

    def __init__(
        self,
        conf: ConfigOpts,
        clock: Clock,
        chosen: list[filters.Named],
        orders: list[candidates.Order],
        *,
        facts: bool,
    ) -> None:
        """Judge hosts by these filters, those first that come first in one of the orders.

        With `facts` every request asks of hosts what their hypervisors are.
        """
        self._conf = conf
        self._clock = clock
        self._filters = chosen
        self._orders = orders
        self._facts = facts

    def read(self, tx: Tx, spec: objects.RequestSpec) -> Request:
        """Read a specification as of now."""
        return requests.read(tx, spec, self._conf, self._clock.now())

    def look(self, tx: Tx, request: Request, without: Collection[str] = ()) -> Found:
        """Give those of the best hosts that will do; wider looks follow until there is one.

        Those of the guest's storage pool come first, if its disks may stay there.
        """
        wanted = filters.narrow(self._filters, _of(request), request).without(without)
        found = self._late(tx, request, without)
        if request.pool is not None and not found.fit:
            found = self._widen(tx, request, wanted._replace(storage=request.pool), found)
            if found.fit:
                return found
        return self._widen(tx, request, wanted, found)

    def _widen(self, tx: Tx, request: Request, wanted: candidates.Wanted, found: Found) -> Found:
        """Look at more and more of these hosts until there is one; `found` are judged already."""
        beside = self._beside(tx, wanted, request)
        seen: set[str] = set(found.refused)
        first = self._conf.scheduler.window
        for limit in (first, first * WIDER, None):
            names = candidates.best(tx, wanted, self._orders, limit)
            every = limit is None or len(names) < limit
            for other in () if every else beside:
                names += candidates.best(tx, other, self._orders, limit)
            new = set(names) - seen - request.late.keys()
            judged = judge(self._filters, self.rooms(tx, new, request), request)
            found = Found(found.fit + judged.fit, {**found.refused, **judged.refused})
            if found.fit or every:
                return found
            seen |= new
        return found

    def _beside(
        self, tx: Tx, wanted: candidates.Wanted, request: Request
    ) -> list[candidates.Wanted]:
        """Ask for those, too, that a weigher may prefer however little is free there.

        They are the friends of a group that would like to be together; and what is
        left without the others of one that would like to be apart, and without the
        hosts that failed.
        """
        members = request.group.members if request.group is not None else {}
        policy = request.group.policy if request.group is not None else None
        disliked = set(members) if policy == states.Affinity.SOFT_APART else set()
        if self._conf.scheduler.failure_weight_multiplier:
            disliked |= set(candidates.failed(tx, self._remembered()))
        friends = [wanted.among(members)] if policy == states.Affinity.SOFT_TOGETHER else []
        return friends + ([wanted.without(disliked)] if disliked else [])

    def _late(self, tx: Tx, request: Request, without: Collection[str]) -> Found:
        """Judge the hosts of late claims, as if those were given back already."""
        hosts = set(request.late) - set(without) - set(request.tried)
        rooms = [
            _given_back(room, request.late[room.name])
            for room in (self.rooms(tx, hosts, request) if hosts else ())
            if wishes.wanted(room, request)
        ]
        return judge(self._filters, rooms, request)

    def rooms(
        self, tx: Tx, names: Collection[str] | None, request: Request | None = None
    ) -> list[Room]:
        """Read these hosts, or all; a request that asks nothing of hypervisors reads less."""
        return rooms.read(
            tx,
            self._clock.now(),
            self._conf.service.down_after,
            names,
            failed_since=self._remembered(),
            facts=self._facts or request is None or bool(request.extra_specs or request.image),
        )

    def _remembered(self) -> datetime.datetime:
        """Give since when failures count."""
        memory = datetime.timedelta(seconds=self._conf.scheduler.failure_memory)
        return self._clock.now() - memory

    def why(self, tx: Tx, request: Request, tried: reasons.Reasons) -> reasons.Reasons:
        """Say of every host in question why it will not do; what is known already comes first."""
        wanted = request.requested_host
        found = dict(tried) if wanted is None else {}
        for room in self.rooms(tx, None if wanted is None else [wanted]):
            if len(found) >= KEPT:
                break
            if room.name in tried:
                found[room.name] = tried[room.name]
            elif not wishes.wanted(room, request):
                found[room.name] = reasons.one(ELSEWHERE, OWN)
            else:
                found.update(judge(self._filters, [room], request).refused)
        if wanted is not None and not found:
            found = {wanted: reasons.one(KNOWN, UNKNOWN)}
        return found


def judge(chosen: Iterable[filters.Named], rooms: Iterable[Room], request: Request) -> Found:
    """Part the hosts that every filter lets pass from the others."""
    found = Found([], {})
    for room in rooms:
        refusal = filters.refusal(chosen, room, request)
        if refusal is None:
            found.fit.append(room)
        else:
            found.refused[room.name] = reasons.one(*refusal)
    return found


def _given_back(room: Room, claim: Mapping[str, int]) -> Room:
    """Give a host as it is without this claim, and without the server that it is for."""
    return room._replace(
        amounts=claims.given_back(room.amounts, claim),
        instances=max(room.instances - 1, 0),
        io_ops=max(room.io_ops - 1, 0),
    )


def _of(request: Request) -> candidates.Wanted:
    only = None if request.requested_host is None else frozenset({request.requested_host})
    return candidates.Wanted(only=only, never=request.ignored)

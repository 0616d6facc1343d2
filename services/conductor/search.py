"""Hosts for a server, one after the other, each of them claimed before it is given.

The scheduler names alternates beside its choice. When a host refuses after
all, they are claimed here in turn; the scheduler is asked again when none is
left, and leaves out what was tried.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import reasons
from common.db import claims
from common.db import groups
from common.db import zones
from services.conductor import liveness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common import objects
    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

# Who refuses an alternate that was good when the scheduler named it.
CLAIM = "claim"
# The scheduler's word on hosts whose own reasons are known here.
RETRY = "RetryFilter"


class Search:
    """The way from host to host for one request."""

    def __init__(
        self,
        deps: Deps,
        context: Context,
        spec: objects.RequestSpec,
        tried: reasons.Reasons | None = None,
        alternates: Iterable[str] = (),
    ) -> None:
        """Look for what `spec` asks; go on from hosts that were tried, if any were."""
        self._deps = deps
        self._context = context
        self._spec = spec
        self._refused: reasons.Reasons = {}
        self.tried: reasons.Reasons = dict(tried or {})
        self._given = len(self.tried)
        self.alternates = list(alternates)

    def next(self) -> str:
        """Claim the next host and give it; raises NoValidHost with every host's reasons."""
        most = self._deps.conf.scheduler.max_attempts
        if self._given >= most:
            raise self._none(
                f"given up after {most} hosts, [scheduler] max_attempts, refused", self.tried
            )
        self._given += 1
        return self._alternate() or self._ask()

    def refuse(self, host: str, by: str, reason: str) -> None:
        """Remember that a host given before will not do; its claim is the caller's to give back."""
        reasons.add(self.tried, host, by, reason)

    def _alternate(self) -> str | None:
        while self.alternates:
            host = self.alternates.pop(0)
            if host in self.tried:
                continue
            try:
                with self._deps.database.write() as tx:
                    self._claim(tx, host)
            except (errors.NoRoom, errors.HostUnsuitable) as gone:
                LOG.info("server %s: not %s: %s", self._spec.instance_uuid, host, gone)
                reasons.add(self._refused, host, CLAIM, gone.message)
            else:
                return host
        return None

    def _claim(self, tx: Tx, host: str) -> None:
        """Claim an alternate: what may have changed since it was named is looked at again."""
        node = liveness.require(self._deps, tx, host, "an alternate")
        if node.service is not None and node.service.disabled:
            raise errors.HostUnsuitable(f"{host} was disabled meanwhile")
        server, zone = self._spec.instance_uuid, self._spec.availability_zone
        claims.claim(
            tx,
            host,
            self._spec.consumer,
            claims.amounts(self._spec.flavor, self._spec.image),
            [
                lambda tx, host: groups.guard(tx, server, host),
                lambda tx, host: zones.guard(tx, zone, host),
            ],
        )

    def _ask(self) -> str:
        spec = self._spec.replace(
            tried={host: reasons.line(told) for host, told in self.tried.items()},
            alternates=self._deps.conf.scheduler.alternates,
        )
        try:
            chosen = self._deps.scheduler.select_destinations(self._context, spec)
        except errors.NoValidHost as none:
            raise self._none("no valid host", reasons.read(none.facts)) from none
        self.alternates = list(chosen.alternates)
        return str(chosen.host)

    def _none(self, outcome: str, found: reasons.Reasons) -> errors.NoValidHost:
        """Join what the scheduler says with what was tried."""
        others = {
            host: [one for one in told if host not in self.tried or one["filter"] != RETRY]
            for host, told in found.items()
        }
        every = reasons.merge(reasons.merge(self.tried, self._refused), others)
        told = reasons.sentence(every, "there is no host")
        return errors.NoValidHost(
            f"{outcome} for server {self._spec.instance_uuid}: {told}", reasons=every
        )

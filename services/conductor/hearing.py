"""What hosts tell of themselves: the conductor's methods that take it and follow it up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common.db import claims
from common.db import hosts
from common.db import ratios
from common.db import services
from rpc import conductor
from services.conductor import audit as audits
from services.conductor import liveness

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


class Hearing(conductor.Conductor):
    """The part of the manager that listens to hosts."""

    _deps: Deps
    # Hosts that have told something new here, and when it has settled.
    _news: dict[str, float]

    def report(
        self, context: Context, service: objects.Service, node: objects.ComputeNode | None
    ) -> dict[str, float]:
        """Take a heartbeat."""
        del context
        with self._deps.database.write() as tx:
            services.report(tx, service, self._deps.clock.now())
            over = self._take(tx, node) if node is not None else {}
            holding = ratios.holding(tx, service.host) if service.binary == hosts.BINARY else {}
        if node is not None:
            self._news[node.host] = self._deps.clock.monotonic() + audits.settling(self._deps)
        if over:
            LOG.warning("%s is %s; it gets no more servers", service.host, claims.too_much(over))
        return holding

    def _take(self, tx: Tx, node: objects.ComputeNode) -> dict[str, int]:
        return hosts.report(tx, node, audits.doubtful(self._deps))

    def observe(self) -> None:
        """Follow what hosts have told of their guests, until that is older than any change."""
        now = self._deps.clock.monotonic()
        news = self._news.copy()
        if news:
            audits.observe(self._deps, list(news))
        for host, settled in news.items():
            if settled < now and self._news.get(host) == settled:
                del self._news[host]

    def audit(self, context: Context, host: str | None) -> list[objects.Finding]:
        """Compare hosts and records now."""
        del context
        if host is not None:
            with self._deps.database.read() as tx:
                liveness.node(self._deps, tx, host)
        return audits.audit(self._deps, host)

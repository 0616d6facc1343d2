"""Aggregates and server groups: the conductor's methods that write them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common.db import aggregates
from common.db import claims
from common.db import groups
from rpc import conductor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common import objects
    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


class Grouping(conductor.Conductor):
    """The part of the manager that puts hosts and servers into groups."""

    _deps: Deps

    def create_aggregate(self, context: Context, aggregate: objects.Aggregate) -> objects.Aggregate:
        """Write an aggregate."""
        del context
        with self._deps.database.write() as tx:
            return aggregates.create(tx, aggregate)

    def update_aggregate(
        self, context: Context, aggregate: int, changes: dict[str, str | None]
    ) -> objects.Aggregate:
        """Change an aggregate's name or zone."""
        del context
        with self._deps.database.write() as tx:
            return aggregates.change(tx, aggregate, changes)

    def describe_aggregate(
        self, context: Context, aggregate: int, metadata: dict[str, str | None]
    ) -> objects.Aggregate:
        """Set and take out an aggregate's metadata."""
        del context
        with self._deps.database.write() as tx:
            after = aggregates.describe(tx, aggregate, metadata)
            _warn(tx, after.hosts)
        return after

    def delete_aggregate(self, context: Context, aggregate: int) -> None:
        """Remove an aggregate."""
        del context
        with self._deps.database.write() as tx:
            aggregates.delete(tx, aggregate)

    def add_aggregate_host(self, context: Context, aggregate: int, host: str) -> objects.Aggregate:
        """Put a host into an aggregate."""
        del context
        with self._deps.database.write() as tx:
            after = aggregates.add_host(tx, aggregate, host)
            _warn(tx, [host])
        return after

    def remove_aggregate_host(
        self, context: Context, aggregate: int, host: str
    ) -> objects.Aggregate:
        """Take a host out of an aggregate."""
        del context
        with self._deps.database.write() as tx:
            after = aggregates.remove_host(tx, aggregate, host)
            _warn(tx, [host])
        return after

    def create_server_group(
        self, context: Context, group: objects.ServerGroup
    ) -> objects.ServerGroup:
        """Write a server group."""
        del context
        with self._deps.database.write() as tx:
            return groups.create(tx, group)

    def delete_server_group(self, context: Context, group: str) -> None:
        """Remove a server group."""
        del context
        with self._deps.database.write() as tx:
            groups.delete(tx, group)


def _warn(tx: Tx, names: Iterable[str]) -> None:
    """Tell of hosts that promise too much by the ratios that they have now."""
    for name in names:
        over = claims.promised_too_much(claims.inventory(tx, name).get(name, {}))
        if over:
            LOG.warning("%s is %s; it gets no more servers", name, claims.too_much(over))

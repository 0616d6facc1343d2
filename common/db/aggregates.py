"""Aggregates: hosts with something in common, and the zones and ratios that they make."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common.db import ratios
from common.db import rows
from common.db import tables
from common.db import zones

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.db.engine import Tx

_T = tables.AGGREGATES
_H = tables.AGGREGATE_HOSTS

UNKNOWN = "aggregate {} does not exist; see: whimbrel aggregate list"


def create(tx: Tx, aggregate: objects.Aggregate) -> objects.Aggregate:
    """Write an aggregate without hosts, or raise Exists when its name is taken."""
    ratios.check(aggregate.metadata)
    values = {**rows.pick(_T, aggregate), "created_at": tx.now()}
    if not tx.insert(_T, values):
        raise _taken(aggregate.name)
    row = tx.row(sa.select(_T.c.id).where(_T.c.uuid == aggregate.uuid))
    return get(tx, row["id"] if row else 0)


def get(tx: Tx, number: int) -> objects.Aggregate:
    """Give an aggregate by its number, or raise AggregateNotFound."""
    row = tx.row(sa.select(_T).where(_T.c.id == number))
    if row is None:
        raise errors.AggregateNotFound(UNKNOWN.format(number))
    return _make(tx, [row])[0]


def all(tx: Tx) -> list[objects.Aggregate]:  # noqa: A001 - qualified where used
    """Give every aggregate in the order they were made."""
    return _make(tx, tx.rows(sa.select(_T).order_by(_T.c.id)))


def delete(tx: Tx, number: int) -> None:
    """Remove an aggregate without hosts; raises AggregateNotFound, and Invalid while it has any."""
    found = _lock(tx, number)
    if found.hosts:
        raise errors.Invalid(
            f"aggregate {found.name} has {len(found.hosts)} hosts, among them {found.hosts[0]}; "
            "remove them first"
        )
    tx.run(sa.delete(_T).where(_T.c.id == number))


def change(tx: Tx, number: int, values: Mapping[str, str | None]) -> objects.Aggregate:
    """Write another name or availability_zone, and give the aggregate.

    Raises AggregateNotFound, Exists, and ZoneConflict when a host would be in
    two zones or has servers that belong to the zone it would leave.
    """
    unknown = values.keys() - {"name", "availability_zone"}
    if unknown:
        raise errors.Invalid(f"an aggregate's {', '.join(sorted(unknown))} cannot be changed")
    found = _lock(tx, number)
    before = zones.hold(tx, found.hosts)
    name = values.get("name", found.name)
    clash = sa.select(_T.c.id).where(_T.c.name == name, _T.c.id != number)
    if tx.row(clash) is not None:
        raise _taken(str(name))
    _write(tx, number, **values)
    zones.changed(tx, before)
    return get(tx, number)


def describe(tx: Tx, number: int, metadata: Mapping[str, str | None]) -> objects.Aggregate:
    """Set these items of the metadata, take out those that are None, and give the aggregate.

    Ratios among them hold at once. Raises AggregateNotFound, and Invalid for a
    ratio that is none.
    """
    ratios.check(metadata)
    found = _lock(tx, number)
    left = {key: value for key, value in found.metadata.items() if key not in metadata}
    new = {key: value for key, value in metadata.items() if value is not None}
    before = zones.hold(tx, found.hosts)
    _write(tx, number, metadata={**left, **new})
    for host in before:
        ratios.apply(tx, host)
    return get(tx, number)


def add_host(tx: Tx, number: int, host: str) -> objects.Aggregate:
    """Put a host into an aggregate, and give the aggregate.

    Raises AggregateNotFound, HostNotFound, Exists when it is there already,
    and ZoneConflict.
    """
    found = _lock(tx, number)
    before = zones.hold(tx, [host])
    if not before:
        raise errors.HostNotFound(
            f"no compute service has ever reported as {host}; see: whimbrel host list"
        )
    if not tx.insert(_H, {"aggregate_id": number, "host": host}):
        raise errors.Exists(f"host {host} is in aggregate {found.name} already")
    zones.changed(tx, before)
    ratios.apply(tx, host)
    return get(tx, number)


def remove_host(tx: Tx, number: int, host: str) -> objects.Aggregate:
    """Take a host out of an aggregate, and give the aggregate.

    Raises AggregateNotFound for an aggregate that is not there or has no such
    host, and ZoneConflict.
    """
    found = _lock(tx, number)
    before = zones.hold(tx, [host])
    gone = sa.delete(_H).where(_H.c.aggregate_id == number, _H.c.host == host)
    if not tx.count(gone):
        raise errors.AggregateNotFound(
            f"aggregate {found.name} has no host {host}; it has {', '.join(found.hosts) or 'none'}"
        )
    zones.changed(tx, before)
    ratios.apply(tx, host)
    return get(tx, number)


def _write(tx: Tx, number: int, **values: object) -> None:
    tx.run(sa.update(_T).where(_T.c.id == number).values(updated_at=tx.now(), **values))


def _lock(tx: Tx, number: int) -> objects.Aggregate:
    """Hold the aggregate's row: its hosts and its zone are never changed by two at once."""
    tx.run(sa.select(_T.c.id).where(_T.c.id == number).with_for_update())
    return get(tx, number)


def _taken(name: str) -> errors.Exists:
    return errors.Exists(f"an aggregate is named {name} already")


def _make(tx: Tx, found: list[dict[str, Any]]) -> list[objects.Aggregate]:
    query = sa.select(_H.c.aggregate_id, _H.c.host).order_by(_H.c.host)
    if len(found) == 1:
        query = query.where(_H.c.aggregate_id == found[0]["id"])
    hosts: dict[int, list[str]] = {}
    for number, host in tx.tuples(query):
        hosts.setdefault(number, []).append(host)
    return [rows.make(objects.Aggregate, row, hosts=hosts.get(row["id"], [])) for row in found]

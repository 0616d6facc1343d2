"""The hosts that a request may go to, the best first, without looking at the others.

The database filters by what it can (state, zone, room, names) and gives the
hosts in the order of what is free, from an index: the time does not grow with
the fleet. What else the scheduler must know of them is read for those alone,
in a fixed number of statements.
"""

from __future__ import annotations

import datetime
import functools
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common.db import hosts
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping
    from collections.abc import Sequence

    from common.db.engine import Tx

_I = tables.INVENTORY
_N = tables.COMPUTE_NODES.c
_S = tables.SERVICES.c
_G = tables.AGGREGATES.c
_H = tables.AGGREGATE_HOSTS.c

# Of the hosts that failed so many are named; databases bound how many values a statement has.
MOST = 500
_FAILED = (
    sa.select(_N.host)
    .where(_N.failed_at >= sa.bindparam("since", type_=_N.failed_at.type), _N.failures > 0)
    .order_by(_N.failed_at.desc())
    .limit(MOST)
)


class Wanted(NamedTuple):
    """What the database can tell of a host; None asks nothing."""

    seen_since: datetime.datetime | None = None  # its service reported since, and is not down
    enabled: bool = False
    zone: str | None = None
    free: Mapping[str, int] = {}  # resource class: what must be free of it
    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()
    storage: str | None = None  # the id of the place where it keeps its guests' disks

    def among(self, names: Collection[str] | None) -> Wanted:
        """Ask for these hosts only, if any are named."""
        if names is None:
            return self
        some = frozenset(names)
        return self._replace(only=some if self.only is None else self.only & some)

    def without(self, names: Collection[str]) -> Wanted:
        """Ask for none of these hosts."""
        return self._replace(never=self.never | frozenset(names))


class Order(NamedTuple):
    """By what of a class hosts are sorted: most free first, or least."""

    kind: str
    most: bool


def best(tx: Tx, wanted: Wanted, orders: Sequence[Order], limit: int | None) -> list[str]:
    """Name the hosts that are first in any of the orders, `limit` of each; None gives all."""
    if wanted.only is not None and not wanted.only:
        return []
    chosen = orders if limit is not None else orders[:1]
    values: dict[str, object] = {
        "zone": wanted.zone,
        "since": wanted.seen_since,
        "only": sorted(wanted.only or ()),
        "never": sorted(wanted.never),
        "limit": limit,
        "storage": wanted.storage,
        **{f"need_{kind}": need for kind, need in wanted.free.items()},
    }
    found = tx.tuples(_statement(_Shape.of(wanted, chosen, limit)), values)
    return list(dict.fromkeys(name for (name,) in found))


def count_failure(tx: Tx, host: str, since: datetime.datetime) -> None:
    """Remember that a build or a move has just failed at the host, beside those since then."""
    recent = sa.case((_N.failed_at >= since, _N.failures), else_=0)
    tx.run(
        sa.update(tables.COMPUTE_NODES)
        .where(_N.host == host)
        .values(failures=recent + 1, failed_at=tx.now())
    )


def forget_failures(tx: Tx, host: str) -> None:
    """Forget what failed at the host, for a build or a move has just gone well there."""
    tx.run(
        sa.update(tables.COMPUTE_NODES)
        .where(_N.host == host, _N.failures > 0)
        .values(failures=0, failed_at=None)
    )


def failed(tx: Tx, since: datetime.datetime) -> list[str]:
    """Name the hosts at which something has failed since then, the last MOST of them."""
    return [name for (name,) in tx.tuples(_FAILED, {"since": since})]


class _Shape(NamedTuple):
    """What makes one statement another: it is built once, for building takes longer than asking."""

    zone: bool
    seen: bool
    enabled: bool
    only: bool
    never: bool
    kinds: tuple[str, ...]
    orders: tuple[Order, ...]
    limited: bool
    storage: bool

    @classmethod
    def of(cls, wanted: Wanted, orders: Sequence[Order], limit: int | None) -> _Shape:
        """Give the shape of a question."""
        return cls(
            zone=wanted.zone is not None,
            seen=wanted.seen_since is not None,
            enabled=wanted.enabled,
            only=wanted.only is not None,
            never=bool(wanted.never),
            kinds=tuple(wanted.free),
            orders=tuple(orders),
            limited=limit is not None,
            storage=wanted.storage is not None,
        )


@functools.lru_cache(maxsize=256)
def _statement(shape: _Shape) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    parts = [_ordered(shape, order) for order in shape.orders]
    if len(parts) == 1:
        return parts[0]
    # Each order has its own limit, which no database takes inside of a union.
    return sa.union_all(*(sa.select(part.subquery().c.host) for part in parts))


def _ordered(shape: _Shape, order: Order) -> sa.Select[Any]:
    lead = _I.alias("lead")
    free = tables.free(lead.c)
    query = (
        sa.select(lead.c.host)
        .where(lead.c["class"] == order.kind)
        .order_by(free.desc() if order.most else free)
    )
    for kind in shape.kinds:
        need = sa.bindparam(f"need_{kind}", type_=sa.Integer)
        if kind == order.kind:
            query = query.where(free >= need)
            continue
        other = _I.alias(f"of_{kind.lower()}")
        here = sa.and_(other.c.host == lead.c.host, other.c["class"] == kind)
        query = query.join(other, here).where(tables.free(other.c) >= need)
    query = _named(query, lead.c.host, shape)
    query = _serving(query, lead.c.host, shape)
    return query.limit(sa.bindparam("limit", type_=sa.Integer)) if shape.limited else query


def _named(query: sa.Select[Any], host: sa.ColumnElement[str], shape: _Shape) -> sa.Select[Any]:
    if shape.only:
        query = query.where(host.in_(sa.bindparam("only", expanding=True)))
    if shape.never:
        query = query.where(host.not_in(sa.bindparam("never", expanding=True)))
    if shape.storage:
        place = sa.bindparam("storage", type_=sa.String)
        query = query.where(host.in_(sa.select(_N.host).where(_N.storage == place)))
    if not shape.zone:
        return query
    zone = sa.bindparam("zone", type_=sa.String)
    # Written so that a planner takes most hosts for hosts of the zone, and walks the index.
    return query.join(tables.COMPUTE_NODES, _N.host == host).where(
        sa.or_(
            sa.and_(_N.availability_zone == zone, sa.not_(_given(host))),
            _given(host, _G.availability_zone == zone),
        )
    )


def _given(host: sa.ColumnElement[str], *more: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Tell whether an aggregate gives the host a zone."""
    return (
        sa.select(_H.host)
        .join(tables.AGGREGATES, _H.aggregate_id == _G.id)
        .where(_H.host == host, _G.availability_zone.is_not(None), *more)
        .exists()
    )


def _serving(query: sa.Select[Any], host: sa.ColumnElement[str], shape: _Shape) -> sa.Select[Any]:
    if not (shape.seen or shape.enabled):
        return query
    mine = sa.and_(_S.host == host, _S.binary == hosts.BINARY)
    query = query.join(tables.SERVICES, mine)
    if shape.enabled:
        query = query.where(sa.not_(_S.disabled))
    if shape.seen:
        since = sa.bindparam("since", type_=_S.last_seen.type)
        query = query.where(_S.last_seen >= since, sa.not_(_S.forced_down))
    return query

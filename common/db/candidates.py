"""The hosts that a request may go to, the best first, without looking at the others.

The database filters by what it can (state, zone, room, names) and gives the
hosts in the order of what is free, from an index: the time does not grow with
the fleet. What else the scheduler must know of them is read for those alone,
in a fixed number of statements.
"""

from __future__ import annotations

import datetime
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import claims
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
_V = tables.SERVERS.c
_G = tables.AGGREGATES.c
_H = tables.AGGREGATE_HOSTS.c
_M = tables.MIGRATIONS.c

# Work that loads a host's disks or its network.
HEAVY = sorted(
    {
        states.Task.SPAWNING,
        states.Task.MIGRATING,
        states.Task.RESIZE_PREP,
        states.Task.RESIZE_MIGRATING,
        states.Task.RESIZE_FINISH,
        states.Task.RESIZE_REVERTING,
    }
)

UNDER_WAY = sorted(frozenset(states.Move) - states.TERMINAL)

# Names in one statement; databases bound how many values it may have.
AT_ONCE = 500


class Wanted(NamedTuple):
    """What the database can tell of a host; None asks nothing."""

    seen_since: datetime.datetime | None = None  # its service reported since, and is not down
    enabled: bool = False
    zone: str | None = None
    free: Mapping[str, int] = {}  # resource class: what must be free of it
    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

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
    found: dict[str, None] = {}
    for order in orders if limit is not None else orders[:1]:
        found.update(dict.fromkeys(name for (name,) in tx.tuples(_query(wanted, order, limit))))
    return list(found)


def rooms(
    tx: Tx,
    now: datetime.datetime,
    down_after: float,
    names: Collection[str] | None = None,
    *,
    failed_since: datetime.datetime | None = None,
    facts: bool = True,
) -> list[hosts.Room]:
    """Give these hosts, or all, as the scheduler looks at them, by name.

    Six statements for each AT_ONCE of them. A failure before `failed_since`
    does not count any more; without `facts` nobody may ask for a room's kind.
    """
    if names is None:
        return _rooms(tx, now, down_after, None, failed_since, facts=facts)
    sorted_ = sorted(names)
    return [
        room
        for start in range(0, len(sorted_), AT_ONCE)
        for room in _rooms(
            tx, now, down_after, sorted_[start : start + AT_ONCE], failed_since, facts=facts
        )
    ]


def count_failure(tx: Tx, host: str) -> None:
    """Remember that a build or a move has just failed at the host."""
    tx.run(
        sa.update(tables.COMPUTE_NODES)
        .where(_N.host == host)
        .values(failures=_N.failures + 1, failed_at=tx.now())
    )


def forget_failures(tx: Tx, host: str) -> None:
    """Forget what failed at the host, for a build or a move has just gone well there."""
    tx.run(
        sa.update(tables.COMPUTE_NODES)
        .where(_N.host == host, _N.failures > 0)
        .values(failures=0, failed_at=None)
    )


def _query(wanted: Wanted, order: Order, limit: int | None) -> sa.Select[Any]:
    lead = _I.alias("lead")
    free = tables.free(lead.c)
    query = (
        sa.select(lead.c.host)
        .where(lead.c["class"] == order.kind)
        .order_by(free.desc() if order.most else free)
    )
    for kind, need in wanted.free.items():
        if kind == order.kind:
            query = query.where(free >= need)
            continue
        other = _I.alias(f"of_{kind.lower()}")
        here = sa.and_(other.c.host == lead.c.host, other.c["class"] == kind)
        query = query.join(other, here).where(tables.free(other.c) >= need)
    query = _named(query, lead.c.host, wanted)
    query = _serving(query, lead.c.host, wanted)
    return query if limit is None else query.limit(limit)


def _named(query: sa.Select[Any], host: sa.ColumnElement[str], wanted: Wanted) -> sa.Select[Any]:
    if wanted.only is not None:
        query = query.where(host.in_(sorted(wanted.only)))
    if wanted.never:
        query = query.where(host.not_in(sorted(wanted.never)))
    if wanted.zone is None:
        return query
    given = (
        sa.select(_G.availability_zone)
        .join(tables.AGGREGATE_HOSTS, _H.aggregate_id == _G.id)
        .where(_H.host == host, _G.availability_zone.is_not(None))
        .limit(1)
        .scalar_subquery()
    )
    return query.join(tables.COMPUTE_NODES, _N.host == host).where(
        sa.func.coalesce(given, _N.availability_zone) == wanted.zone
    )


def _serving(query: sa.Select[Any], host: sa.ColumnElement[str], wanted: Wanted) -> sa.Select[Any]:
    if wanted.seen_since is None and not wanted.enabled:
        return query
    mine = sa.and_(_S.host == host, _S.binary == hosts.BINARY)
    query = query.join(tables.SERVICES, mine)
    if wanted.enabled:
        query = query.where(sa.not_(_S.disabled))
    if wanted.seen_since is not None:
        query = query.where(_S.last_seen >= wanted.seen_since, sa.not_(_S.forced_down))
    return query


class _Aggregates(NamedTuple):
    """What aggregates say of hosts, by host."""

    all: dict[str, tuple[hosts.Aggregate, ...]]
    zones: dict[str, str]


def _rooms(
    tx: Tx,
    now: datetime.datetime,
    down_after: float,
    names: list[str] | None,
    failed_since: datetime.datetime | None,
    *,
    facts: bool,
) -> list[hosts.Room]:
    amounts = _amounts(tx, names)
    aggregates = _aggregates(tx, names)
    busy = _busy(tx, names)
    since = failed_since or now
    found = []
    query = _NODES.add_columns(_FACTS if facts else sa.literal("{}")).order_by(_N.host)
    for (
        name,
        zone,
        least,
        place,
        failures,
        failed_at,
        seen,
        forced,
        disabled,
        why,
        told,
    ) in tx.tuples(_within(query, _N.host, names)):
        silent = (now - seen).total_seconds() if seen else None
        instances, io_ops = busy.get(name, (0, 0))
        found.append(
            hosts.Room(
                name=name,
                zone=aggregates.zones.get(name, zone),
                up=silent is not None and not forced and silent <= down_after,
                silent=silent,
                forced_down=bool(forced),
                disabled=bool(disabled),
                disabled_reason=why,
                amounts=amounts.get(name, {}),
                disk_available_least=least,
                storage=place,
                aggregates=aggregates.all.get(name, ()),
                instances=instances,
                io_ops=io_ops,
                failures=failures if failed_at is not None and failed_at >= since else 0,
                facts=told,
            )
        )
    return found


# As text: it is long, few requests ask for it, and most hosts are never read to the end.
_FACTS = sa.cast(_N.facts, sa.Text)
_NODES = sa.select(
    _N.host,
    _N.availability_zone,
    _N.disk_available_least,
    _N.storage,
    _N.failures,
    _N.failed_at,
    _S.last_seen,
    _S.forced_down,
    _S.disabled,
    _S.disabled_reason,
).outerjoin(tables.SERVICES, sa.and_(_S.host == _N.host, _S.binary == hosts.BINARY))


def _amounts(tx: Tx, names: list[str] | None) -> dict[str, dict[str, claims.Amount]]:
    query = sa.select(_I.c.host, _I.c["class"], *claims.AMOUNT)
    found: dict[str, dict[str, claims.Amount]] = {}
    for name, kind, *numbers in tx.tuples(_within(query, _I.c.host, names)):
        found.setdefault(name, {})[kind] = claims.Amount(*numbers)
    return found


def _aggregates(tx: Tx, names: list[str] | None) -> _Aggregates:
    members = tx.tuples(
        _within(sa.select(_H.host, _H.aggregate_id), _H.host, names).order_by(_H.aggregate_id)
    )
    if not members:
        return _Aggregates({}, {})
    rows = tx.tuples(sa.select(_G.id, _G.name, _G.availability_zone, _G["metadata"]))
    known = {number: (hosts.Aggregate(name, told), zone) for number, name, zone, told in rows}
    found: dict[str, tuple[hosts.Aggregate, ...]] = {}
    zones: dict[str, str] = {}
    for name, number in members:
        aggregate, zone = known[number]
        found[name] = (*found.get(name, ()), aggregate)
        if zone is not None:
            zones[name] = zone
    return _Aggregates(found, zones)


def _busy(tx: Tx, names: list[str] | None) -> dict[str, tuple[int, int]]:
    """Give {host: (servers, those, and those coming, that are heavy work)}."""
    heavy = sa.func.sum(sa.case((_V.task_state.in_(HEAVY), 1), else_=0))
    query = sa.select(_V.host, sa.func.count(), heavy).where(
        _V.host.is_not(None), _V.vm_state != states.Vm.DELETED
    )
    living = tx.tuples(_within(query, _V.host, names).group_by(_V.host))
    coming = sa.select(_M.destination, sa.func.count()).where(
        _M.destination.is_not(None), _M.status.in_(UNDER_WAY)
    )
    arriving = dict(tx.tuples(_within(coming, _M.destination, names).group_by(_M.destination)))
    found = {
        name: (int(number), int(work) + int(arriving.pop(name, 0))) for name, number, work in living
    }
    return found | {name: (0, int(number)) for name, number in arriving.items()}


def _within(
    query: sa.Select[Any], host: sa.ColumnElement[Any], names: list[str] | None
) -> sa.Select[Any]:
    return query if names is None else query.where(host.in_(names))

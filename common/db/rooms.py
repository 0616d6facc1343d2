"""Hosts as the scheduler looks at them, with all that its filters and weighers ask.

The number of statements is fixed however many hosts there are, and each is
built once: for a few hosts that takes longer than to run it.
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

    from common.db.engine import Tx

_I = tables.INVENTORY.c
_N = tables.COMPUTE_NODES.c
_S = tables.SERVICES.c
_V = tables.SERVERS.c
_G = tables.AGGREGATES.c
_H = tables.AGGREGATE_HOSTS.c
_A = tables.ALLOCATIONS.c

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
# Names in one statement; databases bound how many values it may have.
AT_ONCE = 500


class Pair(NamedTuple):
    """A statement about all hosts, and the same about those of the value `names`."""

    every: sa.Select[Any]
    some: sa.Select[Any]

    @classmethod
    def of(cls, query: sa.Select[Any], host: sa.ColumnElement[Any]) -> Pair:
        """Narrow the statement by the column that names hosts."""
        return cls(query, query.where(host.in_(sa.bindparam("names", expanding=True))))

    def run(self, tx: Tx, names: list[str] | None) -> list[tuple[Any, ...]]:
        """Give the rows of these hosts, or of all."""
        if names is None:
            return tx.tuples(self.every)
        return tx.tuples(self.some, {"names": names})


_NODE = sa.select(
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
NODES = Pair.of(_NODE.order_by(_N.host), _N.host)
# As text: it is long, few requests ask for it, and most hosts are never read to the end.
FACTS = Pair.of(_NODE.add_columns(sa.cast(_N.facts, sa.Text)).order_by(_N.host), _N.host)
AMOUNTS = Pair.of(sa.select(_I.host, _I["class"], *claims.AMOUNT), _I.host)
MEMBERS = Pair.of(sa.select(_H.host, _H.aggregate_id).order_by(_H.aggregate_id), _H.host)
AGGREGATES = sa.select(_G.id, _G.name, _G.availability_zone, _G["metadata"])
LIVING = Pair.of(
    sa.select(
        _V.host,
        sa.func.count(),
        sa.func.sum(sa.case((_V.task_state.in_(HEAVY), 1), else_=0)),
    )
    .where(_V.host.is_not(None), _V.vm_state != states.Vm.DELETED)
    .group_by(_V.host),
    _V.host,
)
# Those that are built or moved and hold room on a host on which they do not live.
COMING = Pair.of(
    sa.select(_A.host, sa.func.count())
    .join(tables.SERVERS, _V.uuid == _A.consumer)
    .where(
        _V.task_state.in_(HEAVY),
        sa.or_(_V.host.is_(None), _V.host != _A.host),
        _A["class"] == claims.VCPU,
    )
    .group_by(_A.host),
    _A.host,
)


class _Aggregates(NamedTuple):
    """What aggregates say of hosts, by host."""

    all: dict[str, tuple[hosts.Aggregate, ...]]
    zones: dict[str, str]


def read(
    tx: Tx,
    now: datetime.datetime,
    down_after: float,
    names: Collection[str] | None = None,
    *,
    failed_since: datetime.datetime | None = None,
    facts: bool = True,
) -> list[hosts.Room]:
    """Give these hosts, or all, by name, in six statements for each AT_ONCE of them.

    A failure before `failed_since` does not count any more; without `facts`
    nobody may ask for a room's kind.
    """
    when = _When(now, down_after, failed_since or now)
    if names is None:
        return _rooms(tx, when, None, facts=facts)
    line = sorted(names)
    return [
        room
        for start in range(0, len(line), AT_ONCE)
        for room in _rooms(tx, when, line[start : start + AT_ONCE], facts=facts)
    ]


class _When(NamedTuple):
    """The times that a host is judged by."""

    now: datetime.datetime
    down_after: float
    failed_since: datetime.datetime


def _rooms(tx: Tx, when: _When, names: list[str] | None, *, facts: bool) -> list[hosts.Room]:
    amounts = _amounts(tx, names)
    aggregates = _aggregates(tx, names)
    busy = _busy(tx, names)
    found = []
    for row in (FACTS if facts else NODES).run(tx, names):
        name, zone, least, storage, failures, failed_at, seen, forced, disabled, why, *told = row
        silent = (when.now - seen).total_seconds() if seen else None
        instances, io_ops = busy.get(name, (0, 0))
        found.append(
            hosts.Room(
                name=name,
                zone=aggregates.zones.get(name, zone),
                up=silent is not None and not forced and silent <= when.down_after,
                silent=silent,
                forced_down=bool(forced),
                disabled=bool(disabled),
                disabled_reason=why,
                amounts=amounts.get(name, {}),
                disk_available_least=least,
                storage=storage,
                aggregates=aggregates.all.get(name, ()),
                instances=instances,
                io_ops=io_ops,
                failures=failures if failed_at and failed_at >= when.failed_since else 0,
                facts=told[0] if told else "{}",
            )
        )
    return found


def _amounts(tx: Tx, names: list[str] | None) -> dict[str, dict[str, claims.Amount]]:
    found: dict[str, dict[str, claims.Amount]] = {}
    for name, kind, *numbers in AMOUNTS.run(tx, names):
        found.setdefault(name, {})[kind] = claims.Amount(*numbers)
    return found


def _aggregates(tx: Tx, names: list[str] | None) -> _Aggregates:
    members = MEMBERS.run(tx, names)
    if not members:
        return _Aggregates({}, {})
    known = {
        number: (hosts.Aggregate(name, told), zone)
        for number, name, zone, told in tx.tuples(AGGREGATES)
    }
    found: dict[str, tuple[hosts.Aggregate, ...]] = {}
    zones: dict[str, str] = {}
    for name, number in members:
        aggregate, zone = known[number]
        found[name] = (*found.get(name, ()), aggregate)
        if zone is not None:
            zones[name] = zone
    return _Aggregates(found, zones)


def _busy(tx: Tx, names: list[str] | None) -> dict[str, tuple[int, int]]:
    """Give {host: (servers there and on their way in, those of them that are heavy work)}."""
    found = {name: (int(number), int(work)) for name, number, work in LIVING.run(tx, names)}
    for name, number in COMING.run(tx, names):
        living, work = found.get(name, (0, 0))
        found[name] = living + int(number), work + int(number)
    return found

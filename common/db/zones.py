"""Which availability zone a host is in: its aggregate's, else the one it is configured with.

A zone binds the servers that belong to it (`pinned_zone`), so a host that has
such servers, or room claimed for one, stays in its zone.
"""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import states
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from common.db.engine import Tx

_A = tables.ALLOCATIONS.c
_G = tables.AGGREGATES.c
_H = tables.AGGREGATE_HOSTS.c
_N = tables.COMPUTE_NODES.c
_S = tables.SERVERS.c

# Servers that a refusal names.
NAMED = 3

_GIVEN = (
    sa.select(_H.host, _G.availability_zone)
    .join(tables.AGGREGATES, _G.id == _H.aggregate_id)
    .where(_G.availability_zone.is_not(None))
)
_GIVEN_ONE = _GIVEN.where(_H.host == sa.bindparam("name"))
_CONFIGURED = sa.select(_N.host, _N.availability_zone).where(
    _N.host.in_(sa.bindparam("names", expanding=True))
)
_HOLD = _CONFIGURED.order_by(_N.host).with_for_update()


def given(tx: Tx, host: str | None = None) -> dict[str, str]:
    """Give {host: zone} as aggregates say, in one statement; a host in none is absent."""
    found = tx.tuples(_GIVEN) if host is None else tx.tuples(_GIVEN_ONE, {"name": host})
    return {name: str(zone) for name, zone in found}


def of(tx: Tx, host: str) -> str | None:
    """Give the zone of a host, None for a host that never reported."""
    configured = tx.tuples(_CONFIGURED, {"names": [host]})
    if not configured:
        return None
    return given(tx, host).get(host, str(configured[0][1]))


def hold(tx: Tx, hosts: Collection[str]) -> dict[str, str]:
    """Lock the rows of these hosts as a claim does, and give the zone of each."""
    known = tx.tuples(_HOLD, {"names": list(hosts)})
    return {name: given(tx, name).get(name, str(zone)) for name, zone in known}


def guard(tx: Tx, zone: str | None, host: str) -> None:
    """Raise NoRoom for a host that is not in the zone, if one is asked for; locks the host.

    It leaves its zone only after the transaction, and not while room there is
    claimed for a server of the zone.
    """
    if zone is None:
        return
    found = hold(tx, [host]).get(host)
    if zone != found:
        raise errors.NoRoom(f"{host} is in availability zone {found} now", host=host)


def changed(tx: Tx, before: dict[str, str]) -> None:
    """See that the hosts may be where they are now; raises ZoneConflict, and nothing is kept.

    `before` is what hold() gave. Servers that belong to no zone go along with
    their host.
    """
    for host, old in before.items():
        _alone(tx, host)
        new = str(of(tx, host))
        if new == old:
            continue
        _nobody_left(tx, host, old, new)
        tx.run(
            sa.update(tables.SERVERS)
            .where(_S.host == host, _S.vm_state != states.Vm.DELETED)
            .values(availability_zone=new)
        )


def _alone(tx: Tx, host: str) -> None:
    """Refuse a host that two aggregates would put into different zones."""
    query = (
        sa.select(_G.name, _G.availability_zone)
        .join(tables.AGGREGATE_HOSTS, _H.aggregate_id == _G.id)
        .where(_H.host == host, _G.availability_zone.is_not(None))
        .order_by(_G.name)
    )
    found = tx.tuples(query)
    if len({zone for _, zone in found}) > 1:
        told = " and ".join(f"{zone} by aggregate {name}" for name, zone in found)
        raise errors.ZoneConflict(
            f"host {host} would be in availability zone {told}; take it out of one of them first"
        )


def _nobody_left(tx: Tx, host: str, old: str, new: str) -> None:
    """Refuse to take the zone away from servers that belong to it."""
    claimed = sa.select(_A.consumer).where(_A.host == host)
    query = (
        sa.select(_S.uuid)
        .where(_here(host, claimed), _S.pinned_zone.is_not(None), _S.pinned_zone != new)
        .order_by(_S.uuid)
    )
    bound = [uuid for (uuid,) in tx.tuples(query)]
    if bound:
        more = f" and {len(bound) - NAMED} more" if len(bound) > NAMED else ""
        raise errors.ZoneConflict(
            f"host {host} cannot leave availability zone {old} for {new}: {len(bound)} servers "
            f"there belong to their zone ({', '.join(bound[:NAMED])}{more}); move them first"
        )


def _here(host: str, claimed: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(
        sa.or_(_S.host == host, _S.uuid.in_(claimed)),
        _S.vm_state != states.Vm.DELETED,
    )

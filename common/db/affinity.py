"""Which servers want to be together or apart, and where they are now.

A server is where its row says and wherever it or one of its moves holds room:
a member on its way, or that may go back, counts at both ends, so that two moves
at once cannot meet by accident.
"""

from __future__ import annotations

import collections
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping

    from common.db.engine import Tx

_A = tables.ALLOCATIONS.c
_G = tables.SERVER_GROUPS.c
_M = tables.SERVER_GROUP_MEMBERS.c
_S = tables.SERVERS.c
_V = tables.MIGRATIONS.c


_OWN = sa.select(_M.group_uuid).where(_M.instance_uuid == sa.bindparam("server"))
_MINE = sa.select(tables.SERVER_GROUPS).where(
    sa.or_(_G.uuid == _OWN.scalar_subquery(), _G.uuid == sa.bindparam("hint"))
)


class Group(NamedTuple):
    """A server group as one of its members sees it: the others, by host."""

    uuid: str
    policy: str
    rules: Mapping[str, int]
    members: Mapping[str, int]  # host: how many of the others are there


def group(tx: Tx, server: str, hint: str | None = None) -> Group | None:
    """Give the group of the server, or the one that a hint names, or None."""
    row = tx.row(_MINE, {"server": server, "hint": hint})
    if row is None:
        return None
    others = sa.select(_M.instance_uuid).where(
        _M.group_uuid == row["uuid"], _M.instance_uuid != server
    )
    found = _places(tx, [uuid for (uuid,) in tx.tuples(others)])
    members = collections.Counter(host for hosts in found.values() for host in hosts)
    return Group(row["uuid"], row["policy"], row["rules"], members)


def living(tx: Tx, servers: Collection[str]) -> list[str]:
    """Give those of the servers that are not deleted."""
    if not servers:
        return []
    query = sa.select(_S.uuid).where(_S.uuid.in_(servers), _S.vm_state != states.Vm.DELETED)
    return [uuid for (uuid,) in tx.tuples(query)]


def hosts(tx: Tx, servers: Collection[str]) -> frozenset[str]:
    """Name the hosts of these servers; one that is gone or has no host adds none."""
    return frozenset(host for found in _places(tx, servers).values() for host in found)


def _places(tx: Tx, servers: Collection[str]) -> dict[str, set[str]]:
    """Give the hosts of each server: where it lives, and where room is kept for it."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    if not servers:
        return found
    lives = sa.select(_S.uuid, _S.host).where(
        _S.uuid.in_(servers), _S.host.is_not(None), _S.vm_state != states.Vm.DELETED
    )
    held = sa.select(_A.consumer, _A.host).where(_A.consumer.in_(servers))
    kept = (
        sa.select(_V.instance_uuid, _A.host)
        .join(tables.MIGRATIONS, _V.uuid == _A.consumer)
        .where(_V.instance_uuid.in_(servers))
    )
    # One statement sees one moment: whoever arrives meanwhile is at one of its ends.
    for uuid, host in tx.tuples(sa.union(lives, held, kept)):
        found[uuid].add(host)
    return found

"""Hosts that keep their guests' disks in one place, and what they have promised of it together.

Each of them reports all of that place as its own, and promises by itself.
"""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common.db import claims
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from common.db.engine import Tx

_I = tables.INVENTORY.c
_N = tables.COMPUTE_NODES.c


class Pool(NamedTuple):
    """A place that several hosts share; amounts in GiB."""

    storage: str
    hosts: tuple[str, ...]
    capacity: int  # of the host that may promise most of it
    used: int  # by the claims on all of them

    @property
    def over(self) -> int:
        """Give by how much they have promised too much; none or less is well."""
        return self.used - self.capacity


def of(tx: Tx, names: Collection[str]) -> list[Pool]:
    """Give the pools that these hosts are in; a host that shares with nobody is in none."""
    wanted = sa.select(_N.storage).where(_N.host.in_(sorted(names)), _N.storage != "")
    query = (
        sa.select(_N.storage, _N.host, *claims.AMOUNT)
        .join(tables.INVENTORY, sa.and_(_I.host == _N.host, _I["class"] == claims.DISK_GB))
        .where(_N.storage.in_(wanted))
        .order_by(_N.storage, _N.host)
    )
    found: dict[str, dict[str, claims.Amount]] = {}
    for storage, host, *numbers in tx.tuples(query):
        found.setdefault(storage, {})[host] = claims.Amount(*numbers)
    return [_pool(storage, amounts) for storage, amounts in found.items() if len(amounts) > 1]


def _pool(storage: str, amounts: dict[str, claims.Amount]) -> Pool:
    """Add the claims up; a foreign guest on one host has its disk where all can see it."""
    foreign = sum(amount.foreign for amount in amounts.values())
    return Pool(
        storage,
        tuple(amounts),
        max(amount.capacity for amount in amounts.values()) - foreign,
        sum(amount.used for amount in amounts.values()),
    )

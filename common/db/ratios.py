"""Allocation ratios that aggregates set for their hosts, in Nova's words.

A host in several such aggregates has the lowest of them; a host in none has
its own. What holds stands in the inventory, so that claims and filters count
with the same number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common.db import claims
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.db.engine import Tx

# Key of an aggregate's metadata: resource class.
KEYS = {
    "cpu_allocation_ratio": claims.VCPU,
    "ram_allocation_ratio": claims.MEMORY_MB,
    "disk_allocation_ratio": claims.DISK_GB,
}

_G = tables.AGGREGATES.c
_H = tables.AGGREGATE_HOSTS.c
_I = tables.INVENTORY.c
_HOLDING = sa.select(_I["class"], _I.ratio).where(_I.host == sa.bindparam("name"))


def check(metadata: Mapping[str, str | None]) -> None:
    """Raise Invalid for a ratio that is none."""
    for key in KEYS.keys() & metadata.keys():
        value = metadata[key]
        if value is not None and _number(value) is None:
            raise errors.Invalid(f"{key} must be a number above 0, not {value}")


def of(tx: Tx, host: str) -> dict[str, float]:
    """Give {resource class: ratio} as the host's aggregates say; what none says is absent."""
    query = (
        sa.select(_G["metadata"])
        .join(tables.AGGREGATE_HOSTS, _H.aggregate_id == _G.id)
        .where(_H.host == host)
    )
    found: dict[str, float] = {}
    for (metadata,) in tx.tuples(query):
        for key, kind in KEYS.items():
            ratio = _number(metadata.get(key))
            if ratio is not None:
                found[kind] = min(ratio, found.get(kind, math.inf))
    return found


def holding(tx: Tx, host: str) -> dict[str, float]:
    """Give {key: ratio} by which claims on the host are counted; empty for an unknown host."""
    found = dict(tx.tuples(_HOLDING, {"name": host}))
    return {key: found[kind] for key, kind in KEYS.items() if kind in found}


def apply(tx: Tx, host: str) -> None:
    """Write the ratios that hold for the host: its aggregates', else its own."""
    found = of(tx, host)
    for kind in KEYS.values():
        ratio = found.get(kind, sa.func.coalesce(_I.own_ratio, _I.ratio))
        tx.run(
            sa.update(tables.INVENTORY)
            .where(_I.host == host, _I["class"] == kind)
            .values(ratio=ratio)
        )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 and math.isfinite(value) else None

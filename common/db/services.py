"""Services: who reported when, and what an operator said about them."""

from __future__ import annotations

import datetime
from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import ids
from common import objects
from common.db import rows
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.db.engine import Tx

_T = tables.SERVICES


def report(tx: Tx, service: objects.Service, now: datetime.datetime) -> None:
    """Note that the service lives; what an operator set on it stays."""
    key = {"host": service.host, "binary": service.binary}
    values = {
        "topic": service.topic,
        "zone": service.zone,
        "report_count": _T.c.report_count + 1,
        "last_seen": now,
        "updated_at": now,
    }
    where = [_T.c[name] == value for name, value in key.items()]
    if tx.count(sa.update(_T).where(*where).values(values)):
        return
    first = {
        **rows.pick(_T, service),
        "uuid": service.uuid or ids.new(),
        "report_count": 1,
        "last_seen": now,
        "updated_at": now,
    }
    tx.insert(_T, first)


def all(tx: Tx, now: datetime.datetime, down_after: float) -> list[objects.Service]:  # noqa: A001 - qualified where used
    """Give every service, in the order of their first report."""
    found = tx.rows(sa.select(_T).order_by(_T.c.id))
    return [make(row, now, down_after) for row in found]


def get(tx: Tx, key: str | int, now: datetime.datetime, down_after: float) -> objects.Service:
    """Give a service by its uuid or its number, or raise ServiceNotFound."""
    column = _T.c.id if isinstance(key, int) else _T.c.uuid
    row = tx.row(sa.select(_T).where(column == key))
    if row is None:
        raise errors.ServiceNotFound(f"service {key} does not exist; see: whimbrel service list")
    return make(row, now, down_after)


def find(
    tx: Tx, host: str, binary: str, now: datetime.datetime, down_after: float
) -> objects.Service:
    """Give a service by its host and binary, or raise ServiceNotFound."""
    row = tx.row(sa.select(_T).where(_T.c.host == host, _T.c.binary == binary))
    if row is None:
        raise errors.ServiceNotFound(
            f"no {binary} has ever reported from {host}; see: whimbrel service list"
        )
    return make(row, now, down_after)


def change(
    tx: Tx, uuid: str, *, now: datetime.datetime, down_after: float, **values: object
) -> objects.Service:
    """Set disabled, disabled_reason or forced_down, and give the service.

    Raises ServiceNotFound.
    """
    tx.run(sa.update(_T).where(_T.c.uuid == uuid).values(updated_at=now, **values))
    return get(tx, uuid, now, down_after)


def forced(host: str) -> str:
    """Say why nothing is asked of a host that was forced down, and how that is taken back."""
    return (
        "its compute service is forced down "
        f"(to take that back: whimbrel service force-down {host} --unset)"
    )


def make(row: Mapping[str, Any], now: datetime.datetime, down_after: float) -> objects.Service:
    """Make the object of a row, up or down as of `now`."""
    return rows.make(objects.Service, row, up=is_up(row, now, down_after))


def is_up(row: Mapping[str, Any], now: datetime.datetime, down_after: float) -> bool:
    """Tell whether the last report is younger than `down_after` seconds, and is believed."""
    if row["forced_down"] or row["last_seen"] is None:
        return False
    age: datetime.timedelta = now - row["last_seen"]
    return age.total_seconds() <= down_after

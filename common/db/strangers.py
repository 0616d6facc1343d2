"""Guests with Whimbrel's mark that no record explains: they take room as foreign ones do."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common.db.engine import Tx

_V = tables.SERVERS.c


def among(tx: Tx, guests: Sequence[objects.HostGuest], settled: float) -> list[objects.HostGuest]:
    """Give those of the guests without a server, or whose server was deleted.

    One deleted within the last `settled` seconds has still a name: the report may be older.
    """
    if not guests:
        return []
    lately = tx.now() - datetime.timedelta(seconds=settled)
    living = sa.or_(_V.vm_state != states.Vm.DELETED, _V.terminated_at > lately)
    query = sa.select(_V.uuid).where(_V.uuid.in_([guest.uuid for guest in guests]), living)
    known = {uuid for (uuid,) in tx.tuples(query)}
    return [guest for guest in guests if guest.uuid not in known]

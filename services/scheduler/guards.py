"""What is looked at once more in the transaction of the claim itself.

A filter judges a moment that is over when the claim is written. What must
hold although two requests are decided at once has a row here: a function that
locks what it reads and raises NoRoom, or a kind of it, against the host.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from common.db import claims
from common.db import groups
from common.db import zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.db.engine import Tx
    from services.scheduler.request import Request


def group(request: Request, tx: Tx, host: str) -> None:
    """Refuse what the policy of the server's group forbids; locks the group."""
    groups.guard(tx, request.server, host)


def hosts(request: Request, tx: Tx, host: str) -> None:
    """Refuse nothing: lock the host together with those that late claims are given back to."""
    if request.late:
        claims.lock(tx, {host, *request.late})


def zone(request: Request, tx: Tx, host: str) -> None:
    """Refuse a host that has left the zone meanwhile; locks the host, as the claim does."""
    zones.guard(tx, request.zone, host)


# In this order: a group is locked before hosts, and hosts by name.
GUARDS: tuple[Callable[[Request, Tx, str], None], ...] = (group, hosts, zone)


def of(request: Request) -> list[claims.Guard]:
    """Give the guards of a claim for this request."""
    return [functools.partial(guard, request) for guard in GUARDS]

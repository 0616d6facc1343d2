"""What is looked at once more in the transaction of the claim itself.

A filter judges a moment that is over when the claim is written. What must
hold although two requests are decided at once has a row here: a function that
locks what it reads and raises NoRoom, or a kind of it, against the host.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.db import claims
    from common.db.engine import Tx
    from services.scheduler.request import Request

GUARDS: tuple[Callable[[Request, Tx, str], None], ...] = ()


def of(request: Request) -> list[claims.Guard]:
    """Give the guards of a claim for this request."""
    return [functools.partial(guard, request) for guard in GUARDS]

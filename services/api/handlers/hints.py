"""What the scheduler is told with a new server: together with some, apart from others."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from common import errors
from services.api.handlers import find
from services.api.handlers import groups
from services.api.schemas import servers as bodies

if TYPE_CHECKING:
    from common.db.engine import Tx
    from services.api.calls import Call

# Hints that name servers.
SERVERS = ("same_host", "different_host")


def read(call: Call, tx: Tx) -> dict[str, list[str]]:
    """Give {hint: values} of a body, every server and group in it known to exist."""
    found: dict[str, list[str]] = {}
    for key in bodies.HINTS:
        for name, value in call.body.get(key, {}).items():
            found[name] = [value] if isinstance(value, str) else list(value)
    for name in ("group", *SERVERS):
        found |= {name: [str(uuid.UUID(one)) for one in found[name]]} if name in found else {}
    _check(call, tx, found)
    return found


def _check(call: Call, tx: Tx, found: dict[str, list[str]]) -> None:
    try:
        for group in found.get("group", []):
            groups.find_group(call, tx, group)
        for name in SERVERS:
            for server in found.get(name, []):
                find.server(call, tx, server)
    except errors.NotFound as unknown:
        raise errors.Invalid(f"{bodies.HINTS[0]}: {unknown}") from unknown

"""How many live migrations, and copies of cold moves, leave and enter a host at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import settings

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON


def show_limits(call: Call) -> JSON:
    """Give every limit, as an operator set it last or as it is configured."""
    with call.parts.database.read() as tx:
        return {"limits": settings.limits(tx, call.parts.conf.conductor)}


def update_limits(call: Call) -> JSON:
    """Change the limits that the body has; they hold at once, for what waits too."""
    return {"limits": call.parts.conductor.set_limits(call.context, call.body["limits"])}

"""How many live migrations leave and enter a host at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import settings

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON

NAMES = ("max_outbound", "max_inbound")


def show_limits(call: Call) -> JSON:
    """Give both limits, as an operator set them last or as they are configured."""
    configured = call.parts.conf.conductor
    with call.parts.database.read() as tx:
        return {
            "limits": {name: settings.get(tx, name, getattr(configured, name)) for name in NAMES}
        }


def update_limits(call: Call) -> JSON:
    """Change the limits that the body has; they hold at once, for what is queued too."""
    wanted = call.body["limits"]
    limits = call.parts.conductor.set_limits(
        call.context,
        max_outbound=wanted.get("max_outbound"),
        max_inbound=wanted.get("max_inbound"),
    )
    return {"limits": limits}

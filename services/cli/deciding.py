"""What can be decided of a server that is resized or migrated."""

from __future__ import annotations

from services.cli import api
from services.cli import failures


def asked(client: api.Api, server: api.Row) -> api.Row:
    """Give the server with the two ways out of its move."""
    move = _newest(client, server)
    name = server["name"]
    source = move.get("source_compute") or "its old host"
    ways = [
        f"whimbrel server confirm {name}: it stays as it is; what {source} keeps is removed",
        f"whimbrel server revert {name}: it is again as {source} keeps it; its new data is lost",
    ]
    return {**server, "decide": ways}


def _newest(client: api.Api, server: api.Row) -> api.Row:
    """Give the whole of the server's newest move; nothing to users who may not see moves."""
    try:
        rows = client.rows("/os-migrations", "migrations", instance_uuid=server["id"])
        if not rows:
            return {}
        found: api.Row = client.get(f"/os-migrations/{rows[0]['uuid']}")["migration"]
    except failures.Refused:
        return {}
    return found

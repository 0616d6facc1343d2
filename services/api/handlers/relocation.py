"""Actions that move or resize a server which may be off: migrate, resize, and what ends them."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common.db import flavors
from services.api import route
from services.api import versions
from services.api.handlers import create
from services.api.handlers import find
from services.api.schemas import actions
from services.api.schemas import relocation as bodies

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call

# Below it the value of `migrate` is not looked at, as in Nova.
NAMED: versions.Version = (2, 56)
NO_CONTENT = 204


def migrate(call: Call, server_id: str, wanted: object) -> route.Reply:
    """Move a server as it is; Location tells which migration was begun."""
    given = wanted if isinstance(wanted, dict) and call.version >= NAMED else {}
    return _begin(call, server_id, None, given)


def resize(call: Call, server_id: str, wanted: dict[str, Any]) -> route.Reply:
    """Give a server another flavor; Location tells which migration was begun."""
    flavor = to(call, server_id, "resize.flavorRef", str(wanted["flavorRef"]))
    return _begin(call, server_id, flavor.id, wanted)


def confirm(call: Call, server_id: str, _wanted: object) -> route.Reply:
    """Keep the server as it is now."""
    call.parts.conductor.confirm_resize(call.context, server_id)
    return route.Reply(None, {}, NO_CONTENT)


def revert(call: Call, server_id: str, _wanted: object) -> None:
    """Bring the server back as it was."""
    call.parts.conductor.revert_resize(call.context, server_id)


def to(call: Call, server_id: str, where: str, key: str) -> objects.Flavor:
    """Give the flavor of this id that the server may get; Invalid names where it was asked for."""
    with call.parts.database.read() as tx:
        server = find.server(call, tx, server_id)
        try:
            flavor = flavors.get(tx, key)
        except errors.FlavorNotFound as unknown:
            raise errors.Invalid(f"{where}: {unknown}") from unknown
    if server.image is not None:
        create.fits(flavor, server.image)
    return flavor


def _begin(call: Call, server_id: str, flavor: str | None, given: dict[str, Any]) -> route.Reply:
    move = call.parts.conductor.migrate_server(
        call.context,
        server_id,
        given.get("host") or given.get(bodies.HOST),
        flavor,
        auto_confirm=bool(given.get(bodies.CONFIRM, False)),
        bandwidth=int(given.get(bodies.BANDWIDTH, 0)),
        wait=False,
        zone=given.get(actions.ZONE),
    )
    return route.Reply(None, {"Location": f"{call.root}/os-migrations/{move.uuid}"})

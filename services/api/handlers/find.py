"""What handlers look up in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from common.db import hosts
from common.db import moves
from common.db import servers
from common.db import services
from services.api.views import hosts as host_views

if TYPE_CHECKING:
    from common import objects
    from common.db.engine import Tx
    from services.api.calls import Call

# More do not fit into a column of any database.
DIGITS = 18


def server(call: Call, tx: Tx, uuid: str, *, deleted: bool = False) -> objects.Instance:
    """Give one of the user's servers; to others it does not exist."""
    found = servers.get(tx, uuid, deleted=deleted)
    if not call.sees(found):
        raise errors.ServerNotFound(f"server {uuid} does not exist; see: whimbrel server list")
    return found


def number(text: str) -> int | None:
    """Read a number that a row can have, or give None."""
    plain = text.isascii() and text.isdigit() and len(text) <= DIGITS
    return int(text) if plain else None


def any_move(tx: Tx, key: str) -> objects.Migration:
    """Give a move by its number or uuid."""
    row = number(key)
    return moves.get(tx, key) if row is None else moves.get_by_id(tx, row)


def move(tx: Tx, server_uuid: str, key: str) -> objects.Migration:
    """Give a move of this server, by its number or uuid."""
    return moves.own(any_move(tx, key), server_uuid, key)


def all_services(call: Call, tx: Tx) -> list[objects.Service]:
    """Give every service, up or down as of now."""
    return services.all(
        tx, now=call.parts.clock.now(), down_after=call.parts.conf.service.down_after
    )


def service(call: Call, tx: Tx, host: str, binary: str) -> objects.Service:
    """Give the service of a host."""
    return services.find(
        tx, host, binary, now=call.parts.clock.now(), down_after=call.parts.conf.service.down_after
    )


def all_hosts(call: Call, tx: Tx) -> list[objects.ComputeNode]:
    """Give every host, its service up or down as of now."""
    return hosts.all(tx, now=call.parts.clock.now(), down_after=call.parts.conf.service.down_after)


def host(call: Call, tx: Tx, name: str) -> objects.ComputeNode:
    """Give one host, its service up or down as of now."""
    return hosts.get(
        tx, name, now=call.parts.clock.now(), down_after=call.parts.conf.service.down_after
    )


def host_statuses(call: Call, tx: Tx) -> dict[str, str]:
    """Give Nova's word for the state of every host, if this request shows it."""
    if not (call.admin and call.since(2, 16)):
        return {}
    return {
        service.host: host_views.host_status(service)
        for service in all_services(call, tx)
        if service.binary == hosts.BINARY
    }

"""Finding objects by what people call them: a name, or an id."""

from __future__ import annotations

import re
import uuid

from services.cli import api
from services.cli import failures
from services.cli import statuses

NOT_FOUND = 404
# Moves of servers that may be off.
COLD = frozenset({"migration", "resize"})


def server(client: api.Api, word: str) -> api.Row:
    """Give the one server with this id or name."""
    found = _get(client, "/servers", "server", word) if is_uuid(word) else None
    if found:
        return found
    rows = client.rows("/servers/detail", "servers", name=f"^{re.escape(word)}$")
    return one("server", word, [row for row in rows if row["name"] == word])


def flavor(client: api.Api, word: str) -> api.Row:
    """Give the one flavor with this id or name."""
    rows = client.rows("/flavors/detail", "flavors", is_public="None")
    return choose("flavor", word, rows)


def image(client: api.Api, word: str) -> api.Row:
    """Give the one image with this id or name."""
    return choose("image", word, client.rows("/images", "images"))


def network(client: api.Api, word: str) -> api.Row:
    """Give the one network with this id or name."""
    return choose("network", word, client.rows("/networks", "networks"))


def aggregate(client: api.Api, word: str) -> api.Row:
    """Give the one aggregate with this number or name."""
    rows = client.rows("/os-aggregates", "aggregates")
    by_id = [row for row in rows if str(row["id"]) == word]
    return one("aggregate", word, by_id or [row for row in rows if row["name"] == word])


def group(client: api.Api, word: str) -> api.Row:
    """Give the one server group with this id or name."""
    return choose("server group", word, client.rows("/os-server-groups", "server_groups"))


def service(client: api.Api, host: str, binary: str) -> api.Row:
    """Give the service of this binary on the host, or the one with this id."""
    rows = client.rows("/os-services", "services")
    by_id = [row for row in rows if row["id"] == host]
    by_host = [row for row in rows if (row["host"], row["binary"]) == (host, binary)]
    return one(f"{binary} service", host, by_id or by_host, noun="service")


def migration(client: api.Api, word: str) -> api.Row:
    """Give the whole of a migration, by its id or number, or of the newest of a server."""
    found = _move(client, word)
    if found:
        return found
    try:
        moved = server(client, word)
    except failures.Missing as missing:
        raise failures.Missing(
            f"no migration has the id {word!r}, and no server is called so; "
            "see: whimbrel migration list"
        ) from missing
    whole: api.Row = client.get(f"/os-migrations/{newest(client, moved)}")["migration"]
    return whole


def newest(client: api.Api, found: api.Row) -> str:
    """Give the id of the server's newest migration."""
    rows = client.rows("/os-migrations", "migrations", instance_uuid=found["id"])
    if not rows:
        raise failures.Missing(
            f"{found['name']} has never been moved; see: whimbrel migration list"
        )
    return str(rows[0]["uuid"])


def going_on(client: api.Api, word: str) -> str:
    """Give the path of a migration, by its id or number or by the server that is moved."""
    move = _move(client, word)
    if move:
        return f"/servers/{move['instance_uuid']}/migrations/{move['uuid']}"
    found = server(client, word)
    path = f"/servers/{found['id']}/migrations"
    # Nova's list of those that go on has live ones only.
    moves = client.rows(path, "migrations") or _cold(client, found)
    if not moves:
        raise failures.Missing(f"{found['name']} is not being moved; see: whimbrel migration list")
    return f"{path}/{moves[0]['uuid']}"


def choose(kind: str, word: str, rows: list[api.Row]) -> api.Row:
    """Give the row with this id, or else the only one with this name."""
    by_id = [row for row in rows if row["id"] == word]
    return one(kind, word, by_id or [row for row in rows if row["name"] == word])


def one(kind: str, word: str, rows: list[api.Row], noun: str | None = None) -> api.Row:
    """Give the only row there is; Missing or Ambiguous otherwise.

    `noun` is what the commands call it, where that is not its kind.
    """
    if not rows:
        lists = f"whimbrel {noun or kind.replace(' ', '-')} list"
        raise failures.Missing(f"no {kind} is called {word!r}; see: {lists}")
    if len(rows) > 1:
        matches = "\n".join(f"  {row['id']}  {row.get('status', '')}".rstrip() for row in rows)
        raise failures.Ambiguous(f"{len(rows)} {kind}s are called {word!r}, use an id:\n{matches}")
    return rows[0]


def is_uuid(word: str) -> bool:
    """Tell whether a word can be the id of a server or a migration."""
    try:
        return str(uuid.UUID(word)) == word.lower()
    except ValueError:
        return False


def _move(client: api.Api, word: str) -> api.Row | None:
    """Give the migration with this id or number, if the word can be one."""
    known = is_uuid(word) or word.isdecimal()
    return _get(client, "/os-migrations", "migration", word) if known else None


def _cold(client: api.Api, found: api.Row) -> list[api.Row]:
    """Give the server's cold move, in a list, if it goes on."""
    newest = client.rows("/os-migrations", "migrations", instance_uuid=found["id"])[:1]
    return [
        move
        for move in newest
        if move["migration_type"] in COLD and move["status"] not in statuses.ENDED
    ]


def _get(client: api.Api, path: str, key: str, word: str) -> api.Row | None:
    try:
        found: api.Row = client.get(f"{path}/{word}")[key]
    except failures.Refused as refused:
        if refused.status == NOT_FOUND:
            return None
        raise
    return found

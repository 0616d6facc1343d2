"""Pages of lists: how many, from where, and the link to the next."""

from __future__ import annotations

import datetime
import urllib.parse
from typing import Any
from typing import TYPE_CHECKING

from common import errors

if TYPE_CHECKING:
    from services.api.calls import Call

# A longer number is larger than any max_limit.
DIGITS = 9


def limit(call: Call) -> int:
    """Give how many rows to show: what was asked for, but never more than max_limit."""
    most: int = call.parts.conf.api.max_limit
    wanted = call.request.args.get("limit")
    if wanted is None:
        return most
    if not wanted.isascii() or not wanted.isdigit():
        raise errors.Invalid(f"limit must be a whole number of 0 or more, not {wanted}")
    return most if len(wanted) > DIGITS else min(int(wanted), most)


def marker(call: Call) -> str | None:
    """Give the key of the last row of the page before."""
    return call.request.args.get("marker") or None


def moment(call: Call, name: str) -> datetime.datetime | None:
    """Give a time of the query in UTC, or None if it is not there."""
    wanted = call.request.args.get(name)
    if wanted is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(wanted)
        if found.tzinfo is None:
            return found.replace(tzinfo=datetime.UTC)
        return found.astimezone(datetime.UTC)
    except (ValueError, OverflowError) as wrong:
        raise errors.Invalid(
            f"{name} must be a time such as 2026-01-31T12:00:00Z, not {wanted}"
        ) from wrong


def answer(
    call: Call, name: str, rows: list[dict[str, Any]], last: str | None, links: str | None = None
) -> dict[str, Any]:
    """Make the answer of a list; a full page says where the next one is.

    `last` is the key of the last row, `links` the name of the list of links.
    """
    shown: dict[str, Any] = {name: rows}
    if rows and len(rows) == limit(call) and last is not None:
        shown[links or f"{name}_links"] = [{"rel": "next", "href": _next(call, last)}]
    return shown


def cut(rows: list[Any], keys: list[str], call: Call) -> tuple[list[Any], str | None]:
    """Take the page of a list that is all here; `keys` are those of the rows in turn."""
    begin = 0
    after = marker(call)
    if after is not None:
        if after not in keys:
            raise errors.Invalid(f"marker {after} is unknown; take the last id of the page before")
        begin = keys.index(after) + 1
    page = slice(begin, begin + limit(call))
    chosen = keys[page]
    return rows[page], chosen[-1] if chosen else None


def _next(call: Call, last: str) -> str:
    query = [(key, value) for key, value in call.request.args.items(multi=True) if key != "marker"]
    return f"{call.request.base_url}?{urllib.parse.urlencode([*query, ('marker', last)])}"

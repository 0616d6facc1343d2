"""How a view is declared: one row per field, with the microversions that have it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

from services.api import versions

END: versions.Version = (9, 9)


class Field(NamedTuple):
    """One field of an answer; `admin` ones are shown to administrators only."""

    name: str
    read: Callable[[Any], Any]
    since: versions.Version = versions.MIN
    until: versions.Version = END
    admin: bool = False


def render(
    fields: Iterable[Field], thing: object, version: versions.Version, *, admin: bool = True
) -> dict[str, Any]:
    """Make JSON of a thing as this microversion shows it."""
    return {
        field.name: field.read(thing)
        for field in fields
        if field.since <= version <= field.until and (admin or not field.admin)
    }


def attribute(path: str) -> Callable[[Any], Any]:
    """Read an attribute."""
    return lambda thing: getattr(thing, path)


def constant(value: object) -> Callable[[Any], Any]:
    """Show the same for everything."""
    return lambda _thing: value


def seconds(moment: datetime.datetime | None) -> str | None:
    """Write a time as servers have it: 2026-01-01T00:00:00Z."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(moment: datetime.datetime | None) -> str | None:
    """Write a time as everything else has it: UTC with microseconds and without a zone."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def link(href: str, rel: str = "self") -> dict[str, str]:
    """Make a link."""
    return {"rel": rel, "href": href}


def both(root: str, path: str) -> list[dict[str, str]]:
    """Make the two links that compute objects have."""
    bare = root.removesuffix("/v2.1")
    return [link(f"{root}{path}"), link(f"{bare}{path}", "bookmark")]

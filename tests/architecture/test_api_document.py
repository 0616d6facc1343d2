"""doc/api.md has a row for every route, and no other."""

import re

from services.api import route
from services.api import routes
from services.api import versions
from services.api.handlers import actions

ROW = re.compile(
    r"^\| (GET|POST|PUT|DELETE) \| `(.+?)` \| (.*?) ?\| (.+?) \| (.+) \|$", re.MULTILINE
)


def written(text: str) -> list[tuple[str, ...]]:
    """Give method, path, microversion and policy of each row of the document."""
    return [match.groups()[:4] for match in ROW.finditer(text)]


def served() -> list[tuple[str, ...]]:
    """Give the same of each row of the URL table, each table once."""
    tables = {id(rows): rows for prefix, rows in routes.PLACES}
    return [
        (
            row.method,
            row.path.replace("<", "{").replace(">", "}"),
            lasts(row),
            "open" if row.open else row.rule,
        )
        for rows in tables.values()
        for row in rows
    ]


def lasts(row: route.Route) -> str:
    """Say from or until when there is the route."""
    if row.until != route.END:
        return f"until {versions.text(row.until)}"
    return "" if row.since == versions.MIN else versions.text(row.since)


def test_every_route_is_described(root):
    """A route that comes, goes or changes needs its row changed."""
    found = written((root / "doc" / "api.md").read_text())

    assert sorted(served()) == sorted(found)


def test_every_action_is_named(root):
    """An action that is built is in the list, and one that is not yet is not."""
    text = (root / "doc" / "api.md").read_text().rpartition("Actions of")[2]
    built = actions.ACTIONS.keys() - set(actions.LATER)

    assert built == set(re.findall(r"`([a-zA-Z-]+)`", text))

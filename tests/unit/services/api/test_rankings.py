"""Dry runs over HTTP: what is asked of the conductor, and how its answer is told."""

from typing import Any

import pytest

from common import objects
from common import reasons
from common.context import Context

GOOD = {"host": "host3", "score": 1.5, "scores": {"ram": 1.5}, "refusals": []}
FULL: dict[str, Any] = {
    "host": "host2",
    "score": None,
    "scores": {},
    "refusals": reasons.one("RamFilter", "needs 2 MB, 1 MB free of 4"),
}


@pytest.fixture
def asked(api, monkeypatch):
    """What the conductor was asked; it answers with a host that is good and one that is full."""
    found: dict[str, object] = {}

    def answer(method: str):
        def ranked(_context: Context, *subject: object, **more: object) -> list[objects.Rank]:
            found.update(more, method=method, subject=subject)
            return [
                objects.Rank(host="host3", score=1.5, scores={"ram": 1.5}),
                objects.Rank(host="host2", refusals={"host2": FULL["refusals"]}),
            ]

        return ranked

    for method in ("rank_new", "rank_move", "rank_relocation"):
        monkeypatch.setattr(api.parts.conductor, method, answer(method))
    return found


@pytest.mark.parametrize(
    ("query", "method", "more"),
    [
        ("", "rank_move", (None,)),
        ("?host=host2&kind=live&zone=any", "rank_move", ("host2",)),
        ("?kind=cold", "rank_relocation", (None, None)),
        ("?kind=cold&host=host2&zone=west", "rank_relocation", ("host2", None)),
        ("?kind=resize&flavor=larger", "rank_relocation", (None, "larger")),
    ],
)
def test_each_kind_of_move_is_ranked(api, asked, query, method, more):
    api.flavor(id="larger", name="larger")
    server = api.server()

    body = api.get(f"/servers/{server.uuid}/whimbrel-ranking{query}")

    assert {"ranking": [GOOD, FULL]} == body
    assert (method, (server.uuid, *more)) == (asked["method"], asked["subject"])
    assert ("zone=" in query) == (asked["zone"] is not None)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?kind=warm", "kind is 'warm'; it must be live, cold, resize"),
        ("?kind=resize", "flavor is missing"),
        ("?kind=resize&flavor=nothing", "flavor: "),
        ("?kind=cold&host=a%20b", "which is no name of a host"),
    ],
)
def test_what_cannot_be_is_refused(api, asked, query, words):
    path = f"/servers/{api.server().uuid}/whimbrel-ranking{query}"

    assert words in api.refuse("GET", path, None, 400)
    assert {} == asked


def test_a_server_that_is_not_made_is_ranked(api, asked):
    """The body is that of its creation."""
    flavor = api.flavor()
    (image,) = [one for one in api.get("/images")["images"] if one["name"] == "disk"][:1]
    order = {
        "name": "new",
        "flavorRef": flavor.id,
        "imageRef": image["id"],
        "networks": "none",
    }

    body = api.post("/whimbrel/ranking", {"server": order}, version="2.37", status=200)

    assert {"ranking": [GOOD, FULL]} == body
    (request,) = asked["subject"]
    assert ("new", flavor.id) == (request.name, request.flavor.id)
    assert [] == api.get("/servers")["servers"]

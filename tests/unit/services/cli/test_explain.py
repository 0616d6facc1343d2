"""Why hosts were refused, and the ranking of a dry run."""

import pytest

UUID = "0d3f6c5e-5a3c-4d1b-9d62-0a4f3a6c1f11"
RAM = {"filter": "RamFilter", "reason": "needs 4096 MB, 3211 MB free of 8192"}
BRIDGE = {"filter": "bridge_missing", "reason": "br-tenant is missing"}
RANKING = {
    "ranking": [
        {"host": "host3", "score": 1.5, "scores": {"ram": 1.0, "cpu": 0.5}, "refusals": []},
        {"host": "host2", "score": None, "scores": {}, "refusals": [RAM]},
    ]
}


def rows(typed):
    """Give the cells of the table."""
    lines = [line for line in typed.out.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_last_migration_is_explained(api, whimbrel, server):
    move = {"uuid": UUID, "status": "failed", "reasons": {"host2": [RAM], "host3": [BRIDGE]}}
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", "/os-migrations", {"migrations": [{"uuid": UUID}]})
    api.answer("GET", f"/os-migrations/{UUID}", {"migration": move})

    typed = whimbrel("server", "explain", "tern")

    assert 0 == typed.status, typed.err
    assert [
        ["Host", "Filter", "Reason"],
        ["host2", RAM["filter"], RAM["reason"]],
        ["host3", BRIDGE["filter"], BRIDGE["reason"]],
    ] == rows(typed)
    assert f"migration {UUID}, failed" in typed.err


def test_the_move_of_another_server_is_not_explained(api, whimbrel, server):
    move = {"uuid": UUID, "instance_uuid": "another", "status": "failed", "reasons": {}}
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", f"/os-migrations/{UUID}", {"migration": move})

    typed = whimbrel("server", "explain", "tern", UUID)

    assert 1 == typed.status
    assert f"tern has no migration '{UUID}'; see: whimbrel migration list --server" in typed.err


def test_a_build_that_failed_is_explained(api, whimbrel, server):
    broken = {**server, "status": "ERROR", "fault": {"reasons": {"host2": [RAM]}}}
    api.answer("GET", "/servers/detail", {"servers": [broken]})

    typed = whimbrel("server", "explain", "tern")

    assert ["host2", RAM["filter"], RAM["reason"]] == rows(typed)[1]


def test_nothing_refused_is_said(api, whimbrel, server):
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", "/os-migrations", {"migrations": []})

    typed = whimbrel("server", "explain", "tern")

    assert 1 == typed.status
    assert "no host was refused to tern when it was built" in typed.err


def test_a_dry_run_ranks_hosts_and_moves_nothing(api, whimbrel, server):
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", f"/servers/{server['id']}/whimbrel-ranking", RANKING)

    typed = whimbrel("server", "live-migrate", "tern", "--dry-run")

    assert 0 == typed.status, typed.err
    assert ["host3", "1.500 (ram 1.000, cpu 0.500)"] in rows(typed)
    assert ["host2", f"refused: RamFilter: {RAM['reason']}"] in rows(typed)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (("migrate", "tern", "--host", "host2"), "kind=cold&host=host2"),
        (("migrate", "tern", "--zone", "any"), "kind=cold&zone=any"),
        (("resize", "tern", "--flavor", "large"), "kind=resize&flavor=f-2"),
    ],
)
def test_a_cold_move_is_ranked_and_not_ordered(api, whimbrel, server, words, query):
    path = f"/servers/{server['id']}/whimbrel-ranking"
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "f-2", "name": "large"}]})
    api.answer("GET", path, RANKING)

    typed = whimbrel("server", *words, "--dry-run")

    assert 0 == typed.status, typed.err
    assert ["host2", f"refused: RamFilter: {RAM['reason']}"] in rows(typed)
    (asked,) = [one for one in api.asked if one.path == path]
    assert sorted(query.split("&")) == sorted(asked.query.split("&"))
    assert [] == api.of("POST")


def test_a_server_is_ranked_and_not_created(api, whimbrel):
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "f-1", "name": "tiny"}]})
    api.answer("GET", "/images", {"images": [{"id": "i-1", "name": "guest"}]})
    api.answer("POST", "/whimbrel/ranking", RANKING)

    typed = whimbrel("server", "create", "x", "--flavor", "tiny", "--image", "guest", "--dry-run")

    assert ["host3", "1.500 (ram 1.000, cpu 0.500)"] in rows(typed)
    assert ["/whimbrel/ranking"] == [one.path for one in api.of("POST")]

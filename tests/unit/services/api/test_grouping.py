"""Aggregates and server groups, in Nova's routes and microversions."""

import pytest

from common.db import groups
from common.db import servers

UUID = "11111111-2222-4333-8444-555555555555"
MADE = {"id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}


@pytest.fixture
def two(api):
    """An API with two hosts."""
    for name in ("host1", "host2"):
        api.host(name)
    return api


def aggregate(api, **values: object):
    """Make an aggregate."""
    body = {"aggregate": {"name": "rack", **values}}
    return api.post("/os-aggregates", body, status=200)["aggregate"]


def act(api, number: int, name: str, **values: object):
    """Do an action on an aggregate."""
    path = f"/os-aggregates/{number}/action"
    return api.post(path, {name: values}, status=200)["aggregate"]


def group(api, version: str = "2.64", **values: object):
    """Make a server group."""
    given = {"name": "web", "policy": "anti-affinity", **values}
    body = {"server_group": given}
    return api.post("/os-server-groups", body, version=version, status=200)["server_group"]


# ---- aggregates ----


@pytest.mark.parametrize(("version", "more"), [("2.1", set()), ("2.41", {"uuid"})])
def test_an_aggregate_has_exactly_the_fields_of_its_microversion(two, version, more):
    """A new one has no hosts and metadata, as Nova's."""
    body = {"aggregate": {"name": "rack", "availability_zone": None}}
    made = two.post("/os-aggregates", body, version=version, status=200)["aggregate"]
    shown = two.get(f"/os-aggregates/{made['id']}", version)["aggregate"]

    assert MADE | more == made.keys()
    assert MADE | more | {"hosts", "metadata"} == shown.keys()
    assert [shown] == two.get("/os-aggregates", version)["aggregates"]


def test_the_zone_is_among_the_metadata(two):
    made = aggregate(two, availability_zone="west")

    shown = act(two, made["id"], "set_metadata", metadata={"ssd": "true"})

    assert {"availability_zone": "west", "ssd": "true"} == shown["metadata"]
    assert "west" == shown["availability_zone"]


def test_hosts_come_and_go(two):
    number = aggregate(two)["id"]

    assert ["host1"] == act(two, number, "add_host", host="host1")["hosts"]
    assert ["host1", "host2"] == act(two, number, "add_host", host="host2")["hosts"]
    assert ["host2"] == act(two, number, "remove_host", host="host1")["hosts"]


def test_metadata_sets_the_zone_too(two):
    number = aggregate(two)["id"]

    shown = act(two, number, "set_metadata", metadata={"availability_zone": "west", "ssd": "1"})
    without = act(two, number, "set_metadata", metadata={"availability_zone": None, "ssd": None})

    assert {"availability_zone": "west", "ssd": "1"} == shown["metadata"]
    assert (None, {}) == (without["availability_zone"], without["metadata"])


def test_name_and_zone_are_changed(two):
    number = aggregate(two)["id"]
    path = f"/os-aggregates/{number}"

    answer = two.ask("PUT", path, {"aggregate": {"name": "row", "availability_zone": "west"}})

    assert ("row", "west") == (
        answer.json["aggregate"]["name"],
        answer.json["aggregate"]["availability_zone"],
    )


def test_an_empty_aggregate_is_deleted(two):
    number = aggregate(two)["id"]

    assert 200 == two.ask("DELETE", f"/os-aggregates/{number}").status_code
    assert [] == two.get("/os-aggregates")["aggregates"]


def test_zones_show_hosts_where_aggregates_put_them(two):
    number = aggregate(two, availability_zone="west")["id"]
    act(two, number, "add_host", host="host2")

    zones = two.get("/os-availability-zone/detail")["availabilityZoneInfo"]

    assert {"nova": ["host1"], "west": ["host2"]} == {
        zone["zoneName"]: list(zone["hosts"]) for zone in zones if zone["zoneName"] != "internal"
    }
    assert {"host1": "nova", "host2": "west"} == {
        service["host"]: service["zone"] for service in two.get("/os-services")["services"]
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/os-aggregates/99", None, 404, "aggregate 99"),
        ("GET", "/os-aggregates/rack", None, 404, "aggregate rack"),
        ("DELETE", "/os-aggregates/1", None, 400, "remove them first"),
        ("POST", "/os-aggregates", {"aggregate": {"name": "rack"}}, 409, "named rack"),
        ("POST", "/os-aggregates", {"aggregate": {}}, 400, "aggregate.name"),
        ("POST", "/os-aggregates", {"aggregate": {"name": " x"}}, 400, "aggregate.name"),
        (
            "POST",
            "/os-aggregates",
            {"aggregate": {"name": "x", "availability_zone": "a:b"}},
            400,
            "availability_zone",
        ),
        ("PUT", "/os-aggregates/1", {"aggregate": {}}, 400, "aggregate"),
        (
            "PUT",
            "/os-aggregates/1",
            {"aggregate": {"availability_zone": "north"}},
            400,
            "belong to their zone",
        ),
        (
            "POST",
            "/os-aggregates/1/action",
            {"set_metadata": {"metadata": {"availability_zone": "north"}}},
            400,
            "belong to their zone",
        ),
        (
            "POST",
            "/os-aggregates/1/action",
            {"set_metadata": {"metadata": {"cpu_allocation_ratio": "x"}}},
            400,
            "cpu_allocation_ratio must be a number",
        ),
        ("POST", "/os-aggregates/1/action", {"add_host": {"host": "host1"}}, 409, "already"),
        ("POST", "/os-aggregates/1/action", {"add_host": {"host": "host9"}}, 404, "host9"),
        ("POST", "/os-aggregates/2/action", {"add_host": {"host": "host1"}}, 409, "west"),
        ("POST", "/os-aggregates/1/action", {"remove_host": {"host": "host1"}}, 409, "nova"),
        ("POST", "/os-aggregates/1/action", {"remove_host": {"host": "host2"}}, 404, "no host"),
        ("POST", "/os-aggregates/1/action", {"explode": {}}, 400, "add_host, remove_host"),
    ],
)
def test_a_refusal_has_novas_status_and_says_why(two, method, path, body, status, words):
    first = aggregate(two, availability_zone="west")["id"]
    act(two, first, "add_host", host="host1")
    aggregate(two, name="other", availability_zone="east")
    two.server(host="host1", pinned_zone="west")

    assert words in two.refuse(method, path, body, status)


# ---- server groups ----


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("2.1", {"id", "name", "members", "policies", "metadata"}),
        ("2.13", {"id", "name", "members", "policies", "metadata", "project_id", "user_id"}),
        ("2.64", {"id", "name", "members", "policy", "rules", "project_id", "user_id"}),
    ],
)
def test_a_group_has_exactly_the_fields_of_its_microversion(api, version, fields):
    made = group(api)

    shown = api.get(f"/os-server-groups/{made['id']}", version)["server_group"]

    assert fields == shown.keys()
    assert [shown] == api.get("/os-server-groups", version)["server_groups"]


def test_a_group_once_had_a_list_of_policies(api):
    body = {"server_group": {"name": "web", "policies": ["affinity"]}}
    made = api.post("/os-server-groups", body, status=200)["server_group"]

    assert ["affinity"] == made["policies"]
    assert (
        "affinity" == api.get(f"/os-server-groups/{made['id']}", "2.64")["server_group"]["policy"]
    )


def test_rules_are_numbers_whatever_clients_send(api):
    assert {"max_server_per_host": 3} == group(api, rules={"max_server_per_host": "3"})["rules"]


def test_groups_are_paged(api):
    names = [group(api, name=name)["name"] for name in ("a", "b", "c")]

    shown = api.get("/os-server-groups?limit=1&offset=1")["server_groups"]

    assert [names[1]] == [one["name"] for one in shown]


def test_a_deleted_group_is_gone(api):
    made = group(api)

    assert 204 == api.ask("DELETE", f"/os-server-groups/{made['id']}").status_code
    api.refuse("GET", f"/os-server-groups/{made['id']}", None, 404)
    api.refuse("DELETE", f"/os-server-groups/{made['id']}", None, 404)


@pytest.mark.parametrize(
    ("version", "body", "words"),
    [
        ("2.1", {"name": "x", "policies": ["soft-affinity"]}, "policies"),
        ("2.1", {"name": "x", "policies": ["affinity", "anti-affinity"]}, "policies"),
        ("2.1", {"name": "x", "policy": "affinity"}, "policies"),
        ("2.63", {"name": "x", "policies": ["nearby"]}, "policies"),
        ("2.64", {"name": "x", "policies": ["affinity"]}, "policy"),
        ("2.64", {"name": "x"}, "policy"),
        (
            "2.64",
            {"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 2}},
            "only anti-affinity takes rules",
        ),
        (
            "2.64",
            {"name": "x", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}},
            "max_server_per_host",
        ),
        ("2.64", {"name": "x", "policy": "anti-affinity", "rules": {"other": 2}}, "other"),
    ],
)
def test_a_wrong_group_is_refused_with_its_field(api, version, body, words):
    assert words in api.refuse(
        "POST", "/os-server-groups", {"server_group": body}, 400, version=version
    )


# ---- hints ----


def server(api, **more: object):
    """Ask for a server with hints."""
    body = {
        "server": {"name": "vm", "imageRef": api.parts.images.get("disk").id, "flavorRef": "1"},
        **more,
    }
    return api.post("/servers", body)["server"]["id"]


@pytest.mark.parametrize("key", ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])
def test_a_server_joins_its_group_and_shows_it_from_2_71(two, key):
    two.flavor()
    made = group(two)["id"]
    uuid = server(two, **{key: {"group": made.upper()}})

    assert [uuid] == two.get(f"/os-server-groups/{made}")["server_group"]["members"]
    assert "server_groups" not in two.get(f"/servers/{uuid}", "2.70")["server"]
    assert [made] == two.get(f"/servers/{uuid}", "2.71")["server"]["server_groups"]
    with two.database.read() as tx:
        assert made == groups.of(tx, uuid)


def test_hints_are_kept_as_lists(two):
    two.flavor()
    other = two.server().uuid
    uuid = server(
        two, **{"os:scheduler_hints": {"same_host": other, "different_host": [other], "own": "x"}}
    )

    with two.database.read() as tx:
        kept = servers.get(tx, uuid).hints
    assert {"same_host": [other], "different_host": [other], "own": ["x"]} == kept


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        ({"group": "web"}, "group must be a uuid"),
        ({"group": UUID}, f"server group {UUID} does not exist"),
        ({"same_host": UUID}, f"server {UUID} does not exist"),
        ({"different_host": [UUID]}, f"server {UUID} does not exist"),
        ({"different_host": ["x"]}, "different_host"),
        ({"own": 1}, "own"),
    ],
)
def test_a_hint_names_what_exists(two, hints, words):
    two.flavor()
    body = {
        "server": {"name": "vm", "imageRef": two.parts.images.get("disk").id, "flavorRef": "1"},
        "os:scheduler_hints": hints,
    }

    assert words in two.refuse("POST", "/servers", body, 400)

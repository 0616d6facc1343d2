"""Commands about aggregates, zones, server groups and hints."""

import pytest

RACK = {
    "id": 7,
    "uuid": "u",
    "name": "rack",
    "availability_zone": "west",
    "hosts": ["host1", "host2"],
    "metadata": {"availability_zone": "west", "ssd": "true"},
}
GROUP = {
    "id": "22222222-2222-4333-8444-555555555555",
    "name": "web",
    "policy": "anti-affinity",
    "rules": {"max_server_per_host": 2},
    "members": ["a", "b"],
    "project_id": "whimbrel",
}
ACTION = "/os-aggregates/7/action"


@pytest.fixture
def rack(api):
    """An API with one aggregate."""
    api.answer("GET", "/os-aggregates", {"aggregates": [RACK]})
    api.answer("GET", "/os-aggregates/7", {"aggregate": RACK})
    api.answer("POST", "/os-aggregates", {"aggregate": RACK})
    api.answer("PUT", "/os-aggregates/7", {"aggregate": RACK})
    api.answer("POST", ACTION, {"aggregate": RACK})
    api.answer("DELETE", "/os-aggregates/7", None)
    return api


def sent(api):
    """What was asked to be changed: method, path and body."""
    return [(one.method, one.path, one.body) for one in api.asked if one.method != "GET"]


def test_aggregates_are_listed_with_zone_and_hosts(rack, whimbrel):
    (row,) = whimbrel("aggregate", "list", "-f", "json").json

    assert ("rack", "west", "host1, host2", {"ssd": "true"}) == (
        row["Name"],
        row["Zone"],
        row["Hosts"],
        row["Properties"],
    )


def test_an_aggregate_is_made_with_its_properties(rack, whimbrel):
    done = whimbrel("aggregate", "create", "rack", "--zone", "west", "--property", "ssd=true")

    assert 0 == done.status
    assert [
        ("POST", "/os-aggregates", {"aggregate": {"name": "rack", "availability_zone": "west"}}),
        ("POST", ACTION, {"set_metadata": {"metadata": {"ssd": "true"}}}),
    ] == sent(rack)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("add-host", "rack", "host3"), [("POST", ACTION, {"add_host": {"host": "host3"}})]),
        (("remove-host", "7", "host1"), [("POST", ACTION, {"remove_host": {"host": "host1"}})]),
        (
            ("set", "rack", "--name", "row", "--no-zone"),
            [
                (
                    "PUT",
                    "/os-aggregates/7",
                    {"aggregate": {"name": "row", "availability_zone": None}},
                )
            ],
        ),
        (
            ("set", "rack", "--property", "gpu=no", "--unset", "ssd"),
            [("POST", ACTION, {"set_metadata": {"metadata": {"gpu": "no", "ssd": None}}})],
        ),
        (("delete", "rack"), [("DELETE", "/os-aggregates/7", None)]),
    ],
)
def test_an_aggregate_is_changed_by_name_or_number(rack, whimbrel, words, expected):
    assert 0 == whimbrel("aggregate", *words).status
    assert expected == sent(rack)


@pytest.mark.parametrize(
    ("words", "told"),
    [(("set", "rack"), "nothing to change"), (("show", "row"), "no aggregate is called 'row'")],
)
def test_a_command_that_makes_no_sense_says_so(rack, whimbrel, words, told):
    done = whimbrel("aggregate", *words)

    assert 1 == done.status
    assert told in done.err


def test_zones_show_how_many_hosts_can_be_used(api, whimbrel):
    def heart(*, available: bool):
        return {"nova-compute": {"available": available, "active": True, "updated_at": None}}

    zone = {
        "zoneName": "west",
        "zoneState": {"available": True},
        "hosts": {"host2": heart(available=True), "host1": heart(available=False)},
    }
    inside = {"zoneName": "internal", "zoneState": {"available": True}, "hosts": {}}
    answer = {"availabilityZoneInfo": [inside, zone]}
    api.answer("GET", "/os-availability-zone/detail", answer)

    rows = whimbrel("zone", "list", "-f", "json").json

    assert [{"Zone": "west", "Available": "yes", "Up": "1/2", "Hosts": "host1, host2"}] == rows


def test_groups_are_made_shown_and_deleted(api, whimbrel):
    api.answer("GET", "/os-server-groups", {"server_groups": [GROUP]})
    api.answer("POST", "/os-server-groups", {"server_group": GROUP})
    api.answer("DELETE", f"/os-server-groups/{GROUP['id']}", None, status=204)

    words = ("--policy", "anti-affinity", "--max-per-host", "2", "-f", "json")
    made = whimbrel("server-group", "create", "web", *words).json
    (row,) = whimbrel("server-group", "list", "-f", "json").json
    shown = whimbrel("server-group", "show", "web", "-f", "json").json
    gone = whimbrel("server-group", "delete", "web")

    body = {"name": "web", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
    assert [
        ("POST", "/os-server-groups", {"server_group": body}),
        ("DELETE", f"/os-server-groups/{GROUP['id']}", None),
    ] == sent(api)
    assert ("anti-affinity", 2) == (row["Policy"], row["Members"])
    assert made == shown
    assert ["a", "b"] == shown["members"]
    assert 0 == gone.status


def test_a_new_server_is_told_its_zone_group_and_hints(api, whimbrel, server):
    """What is named is found; the API gets ids."""
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "1", "name": "m1.tiny"}]})
    api.answer("GET", "/images", {"images": [{"id": "i-1", "name": "cirros"}]})
    api.answer("GET", "/os-server-groups", {"server_groups": [GROUP]})
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("POST", "/servers", {"server": {"id": server["id"]}}, status=202)
    api.answer("GET", f"/servers/{server['id']}", {"server": server})

    what = ("--flavor", "m1.tiny", "--image", "cirros")
    where = ("--zone", "west", "--group", "web", "--hint", "same_host=tern", "--hint", "own=x")
    done = whimbrel("server", "create", "vm", *what, *where)

    assert 0 == done.status, done.err
    (asked,) = api.of("POST")
    assert "west" == asked.body["server"]["availability_zone"]
    assert {"same_host": [server["id"]], "own": ["x"], "group": GROUP["id"]} == asked.body[
        "os:scheduler_hints"
    ]

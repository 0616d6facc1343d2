import pytest

UUID = "11111111-2222-4333-8444-555555555555"
PATH = f"/servers/{UUID}"
ACTION = f"{PATH}/action"


@pytest.fixture
def tern(api, server):
    api.answer("GET", "/servers/detail", {"servers": [server]})
    return server


def test_a_list_says_where_servers_run(tern, whimbrel):
    """A row holds what an operator looks for first."""
    row = whimbrel("server", "list", "-f", "json").json[0]

    assert {
        "ID": UUID,
        "Name": "tern",
        "Status": "ACTIVE",
        "Task": None,
        "Host": "host1",
        "Networks": "tenant=198.51.100.130",
        "Flavor": "m1.tiny",
    } == row


def test_filters_are_the_apis_work(tern, api, whimbrel):
    """Filters travel as a query, and those not given do not."""
    whimbrel("server", "list", "--host", "host1", "--status", "ACTIVE")

    assert "host=host1&status=ACTIVE" == api.asked[0].query


def test_create_turns_names_into_ids(api, whimbrel, server):
    """Flavor, image and network are found by name and ordered by id."""
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "f-1", "name": "m1.tiny"}]})
    api.answer("GET", "/images", {"images": [{"id": "i-1", "name": "guest"}]})
    api.answer("GET", "/networks", {"networks": [{"id": "n-1", "name": "tenant"}]})
    api.answer("POST", "/servers", {"server": {"id": UUID}}, status=202)
    api.answer("GET", PATH, {"server": server})

    words = ("--flavor", "m1.tiny", "--image", "guest", "--network", "tenant")
    typed = whimbrel("server", "create", "tern", *words, "--property", "a=b=c", "-f", "json")

    assert 0 == typed.status
    assert {
        "server": {
            "name": "tern",
            "flavorRef": "f-1",
            "imageRef": "i-1",
            "networks": [{"uuid": "n-1"}],
            "metadata": {"a": "b=c"},
        }
    } == api.of("POST")[0].body


def test_create_waits_for_the_end_and_tells_the_fault(api, whimbrel, server):
    """With --wait a server that cannot be built is an error with its reason."""
    building = {**server, "status": "BUILD", "OS-EXT-STS:task_state": "spawning"}
    broken = {**server, "status": "ERROR", "fault": {"message": "no bridge br-x on host1"}}
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "f-1", "name": "m1.tiny"}]})
    api.answer("GET", "/images", {"images": [{"id": "i-1", "name": "guest"}]})
    api.answer("POST", "/servers", {"server": {"id": UUID}}, status=202)
    api.answer("GET", PATH, {"server": building}, {"server": broken})

    typed = whimbrel(
        "server", "create", "tern", "--flavor", "m1.tiny", "--image", "guest", "--wait"
    )

    assert (1, "error: tern is ERROR, not ACTIVE: no bridge br-x on host1\n") == (
        typed.status,
        typed.err,
    )


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("stop",), {"os-stop": None}),
        (("start",), {"os-start": None}),
        (("reboot",), {"reboot": {"type": "SOFT"}}),
        (("reboot", "--hard"), {"reboot": {"type": "HARD"}}),
        (("pause",), {"pause": None}),
        (("unpause",), {"unpause": None}),
    ],
)
def test_each_order_has_its_body(tern, api, whimbrel, words, body):
    """What the API understands is sent, and success prints nothing."""
    api.answer("POST", ACTION, None, status=202)

    typed = whimbrel("server", *words, "tern")

    assert (0, "", "") == typed
    assert [body] == [asked.body for asked in api.of("POST")]


def test_an_order_that_did_not_work_is_an_error(tern, api, whimbrel, server):
    """With --wait, a server that is idle again in another state than ordered fails."""
    api.answer("POST", ACTION, None, status=202)
    busy = {**server, "OS-EXT-STS:task_state": "powering-off"}
    api.answer("GET", PATH, {"server": busy}, {"server": server})

    typed = whimbrel("server", "stop", "--wait", "tern")

    assert (1, "error: tern is ACTIVE, not SHUTOFF: no reason is recorded\n") == (
        typed.status,
        typed.err,
    )


def test_one_bad_name_does_not_hold_up_the_others(tern, api, whimbrel):
    """Everything that can be ordered is, and what cannot decides the exit status."""
    api.answer("DELETE", PATH, None, status=204)

    typed = whimbrel("server", "delete", "dunlin", "tern")

    assert (1, "error: no server is called 'dunlin'; see: whimbrel server list\n") == (
        typed.status,
        typed.err,
    )
    assert [PATH] == [asked.path for asked in api.of("DELETE")]


def test_delete_waits_until_it_is_gone(tern, api, whimbrel, server):
    """With --wait the command ends when the API knows the server no more."""
    api.answer("DELETE", PATH, None, status=204)
    api.answer("GET", PATH, {"server": {**server, "OS-EXT-STS:task_state": "deleting"}})
    api.refuse("GET", PATH, 404, "no such server")

    assert 0 == whimbrel("server", "delete", "--wait", "tern").status


def test_a_property_needs_a_value(api, whimbrel):
    """A word without = is refused before anything is ordered."""
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "f", "name": "f"}]})
    api.answer("GET", "/images", {"images": [{"id": "i", "name": "i"}]})

    typed = whimbrel("server", "create", "x", "--flavor", "f", "--image", "i", "--property", "a")

    assert (1, "error: 'a' is not NAME=VALUE\n") == (typed.status, typed.err)
    assert [] == api.of("POST")

import pytest

PATH = "/servers/11111111-2222-4333-8444-555555555555"


def test_an_id_is_asked_for_directly(api, whimbrel, server):
    """A uuid needs no search, and finds its server."""
    api.answer("GET", PATH, {"server": server})

    assert "tern" == whimbrel("server", "show", server["id"], "-f", "json").json["name"]
    assert [PATH] == [asked.path for asked in api.asked]


def test_a_name_is_matched_whole(api, whimbrel, server):
    """The API's filter is an expression; only the exact name counts."""
    other = {**server, "id": "other", "name": "tern-2"}
    api.answer("GET", "/servers/detail", {"servers": [other, server]})

    assert server["id"] == whimbrel("server", "show", "tern", "-f", "json").json["id"]


def test_an_ambiguous_name_lists_its_matches(api, whimbrel, server):
    """Two servers of one name: neither is taken, and both ids are told."""
    api.answer("GET", "/servers/detail", {"servers": [server, {**server, "id": "other"}]})

    typed = whimbrel("server", "stop", "tern")

    assert 1 == typed.status
    assert "error: 2 servers are called 'tern', use an id:" in typed.err
    assert "other" in typed.err
    assert server["id"] in typed.err
    assert [] == api.of("POST")


@pytest.mark.parametrize("word", ["tern", "11111111-2222-4333-8444-555555555555"])
def test_an_unknown_server_is_named(api, whimbrel, word):
    """Nothing of this name or id is an error that repeats the word."""
    api.answer("GET", "/servers/detail", {"servers": []})

    typed = whimbrel("server", "show", word)

    assert 1 == typed.status
    assert f"error: no server is called '{word}'; see: whimbrel server list\n" == typed.err


def test_a_flavor_goes_by_name(api, whimbrel):
    """Deleting by name orders the deletion by id."""
    rows = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
    api.answer("GET", "/flavors/detail", {"flavors": rows})
    api.answer("DELETE", "/flavors/2", None, status=202)

    assert 0 == whimbrel("flavor", "delete", "b").status
    assert ["/flavors/2"] == [asked.path for asked in api.of("DELETE")]


def test_a_migration_goes_by_number(api, whimbrel):
    """The short number that old clients show leads to the whole migration."""
    api.answer("GET", "/os-migrations/7", {"migration": {"id": 7, "status": "failed"}})

    assert "failed" == whimbrel("migration", "show", "7", "-f", "json").json["status"]


@pytest.mark.parametrize("verb", ["show", "watch"])
def test_a_migration_goes_by_its_server(api, whimbrel, server, verb):
    """A server's name, where a migration is wanted, is the newest of its moves."""
    move = {"uuid": "m-2", "status": "completed", "source": "host1", "destination": "host2"}
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", "/os-migrations", {"migrations": [{"uuid": "m-2"}, {"uuid": "m-1"}]})
    api.answer("GET", "/os-migrations/m-2", {"migration": move})

    typed = whimbrel("migration", verb, "tern")

    assert 0 == typed.status
    assert "completed" in typed.out


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        (False, "no migration has the id 'tern', and no server is called so"),
        (True, "tern has never been moved"),
    ],
)
def test_a_migration_that_is_not_found_leads_to_the_list(api, whimbrel, server, servers, words):
    """The error says where those that there are can be seen."""
    api.answer("GET", "/servers/detail", {"servers": [server] if servers else []})
    api.answer("GET", "/os-migrations", {"migrations": []})

    typed = whimbrel("migration", "show", "tern")

    assert (1, f"error: {words}; see: whimbrel migration list\n") == (typed.status, typed.err)

import pytest

UUID = "11111111-2222-4333-8444-555555555555"
PATH = f"/servers/{UUID}/whimbrel-check-migrate"


def row(host, name, verdict="pass", reason="fine"):
    return {"host": host, "name": name, "verdict": verdict, "reason": reason, "code": ""}


GOOD = [row("host2", "ram"), row("host2", "cpu", "warn", "no way back")]
BAD = [row("host3", "ram", "fail", "1 MiB of 2 free, 5 needed")]


@pytest.fixture
def tern(api, server):
    api.answer("GET", "/servers/detail", {"servers": [server]})
    return server


def test_checks_are_rows_and_hosts_are_columns(tern, api, whimbrel):
    """A host that was not asked has a dash; the reasons follow, but for what passes."""
    api.answer("GET", PATH, {"checks": GOOD + BAD})

    typed = whimbrel("server", "check-migrate", "tern")

    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in typed.out.splitlines()]
    assert ["Check", "host2", "host3"] in cells
    assert ["ram", "pass", "fail"] in cells
    assert ["cpu", "warn", "-"] in cells
    assert ["=> host", "warn", "fail"] in cells
    assert [
        "host2: cpu: warn: no way back",
        "host3: ram: fail: 1 MiB of 2 free, 5 needed",
    ] == typed.err.splitlines()
    assert 0 == typed.status


def test_programs_read_the_reasons_too(tern, api, whimbrel):
    """In the cells."""
    api.answer("GET", PATH, {"checks": BAD + GOOD})

    first = whimbrel("server", "check-migrate", "tern", "-f", "json").json[0]

    assert {"verdict": "fail", "reason": "1 MiB of 2 free, 5 needed"} == first["host3"]


@pytest.mark.parametrize("rows", [BAD, []])
def test_it_fails_when_no_host_passes(tern, api, whimbrel, rows):
    """The table comes all the same."""
    api.answer("GET", PATH, {"checks": rows})

    typed = whimbrel("server", "check-migrate", "tern")

    assert 1 == typed.status
    assert "tern cannot be moved to any of these hosts" in typed.err
    assert "Check" in typed.out


def test_the_wish_is_sent(tern, api, whimbrel):
    """The same options as live-migrate has."""
    api.answer("GET", PATH, {"checks": GOOD})

    whimbrel("server", "check-migrate", "tern", "--host", "host2", "--shared-migration")
    whimbrel("server", "check-migrate", "tern", "--block-migration", "--disk-over-commit")
    whimbrel("server", "check-migrate", "tern")
    whimbrel("server", "check-migrate", "tern", "--policy", "gentle", "--set", "tls=true")

    assert [
        "host=host2&block_migration=false&disk_over_commit=false",
        "block_migration=true&disk_over_commit=true",
        "block_migration=auto&disk_over_commit=false",
        "block_migration=auto&disk_over_commit=false&policy=gentle&policy.tls=true",
    ] == [asked.query for asked in api.of("GET") if asked.path == PATH]

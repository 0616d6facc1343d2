"""The command, as people and scripts run it, against all services in one process."""

from typing import Any

import bcrypt
import pytest

from common import errors
from common import images
from services import together
from tests import typed

HOSTS = ("host1", "host2")
# A guest of m1.tiny is copied at once, one of m1.huge takes long enough to be aborted.
OPTIONS = {
    "simulated.rate": 1000.0,
    "api.auth": "http_basic",
    "compute.progress_interval": 0.2,
}
USER = {"WHIMBREL_USERNAME": "ada", "WHIMBREL_PASSWORD": "secret"}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    disk = folder / "disk.raw"
    disk.write_bytes(b"whimbrel" * 1000)
    images.Directory(str(folder / "images")).add(disk, name="guest")
    users = folder / "htpasswd"
    hashed = bcrypt.hashpw(USER["WHIMBREL_PASSWORD"].encode(), bcrypt.gensalt(4)).decode()
    users.write_text(f"{USER['WHIMBREL_USERNAME']}:{hashed}\n")
    options = {**OPTIONS, "api.http_basic_file": str(users)}
    with together.running(folder, HOSTS, options) as running:
        yield running


@pytest.fixture(scope="module")
def whimbrel(services) -> typed.Whimbrel:
    run = typed.at(services.endpoint, **USER)
    for name, ram in (("m1.tiny", "64"), ("m1.huge", "8192")):
        run("flavor", "create", name, "--vcpus", "1", "--ram", ram, "--disk", "1")
    run("network", "create", "tenant", "--bridge", "br-tenant", "--cidr", "198.51.100.128/25")
    return run


@pytest.fixture
def server(whimbrel, request):
    """A running server on host1, named as the test is."""
    name = request.node.name.replace("_", "-")
    made = create(whimbrel, name)
    yield made
    whimbrel("server", "delete", "--wait", made["id"])


def create(whimbrel: typed.Whimbrel, name: str, flavor: str = "m1.tiny") -> dict[str, Any]:
    """Boot a server on host1."""
    words = ("--flavor", flavor, "--image", "guest", "--network", "tenant", "--host", "host1")
    made: dict[str, Any] = whimbrel("server", "create", name, *words, "--wait", "-f", "json").json
    return made


def status(whimbrel: typed.Whimbrel, server: dict[str, Any]) -> tuple[str, str]:
    """The server's status and host, as recorded."""
    shown = whimbrel("server", "show", server["id"], "-f", "json").json
    return shown["status"], shown["host"]


def test_a_server_lives_and_goes(whimbrel, services):
    """Every order is done when its command ends, and the deleted server is gone."""
    made = create(whimbrel, "tern")

    assert "tenant=198.51.100." in made["addresses"][0]
    for order, then in (
        (("pause",), "PAUSED"),
        (("unpause",), "ACTIVE"),
        (("stop",), "SHUTOFF"),
        (("start",), "ACTIVE"),
        (("reboot",), "ACTIVE"),
        (("reboot", "--hard"), "ACTIVE"),
    ):
        assert "" == whimbrel("server", *order, "--wait", "tern").err
        assert (then, "host1") == status(whimbrel, made)
    assert 0 == whimbrel("server", "delete", "--wait", "tern").status
    assert (
        "error: no server is called 'tern'; see: whimbrel server list\n"
        == whimbrel("server", "show", "tern").err
    )
    assert [] == services.world.running(made["id"])


def test_a_live_migration_that_is_waited_for_has_arrived(whimbrel, services, server):
    """Exit status 0: the hypervisor runs the guest where the command says, once."""
    moved = whimbrel("server", "live-migrate", server["name"], "--wait", "-f", "json")

    assert ("host1", "host2", "completed") == (
        moved.json["from"],
        moved.json["to"],
        moved.json["status"],
    )
    assert ["host2"] == services.world.running(server["id"])
    assert ("ACTIVE", "host2") == status(whimbrel, server)
    assert "100 %  host1 -> host2  completed" in moved.err


def test_a_move_can_be_looked_at_afterwards(whimbrel, server):
    """Journal, list and watch tell the same story of a move that ended."""
    uuid = whimbrel("server", "live-migrate", server["id"], "--wait", "-f", "json").json["id"]

    shown = whimbrel("migration", "show", uuid, "-f", "json").json
    row = whimbrel("migration", "list", "--server", server["name"], "-f", "json").json[0]

    assert {"select_destinations", "pre_live_migration", "migrate"} <= {
        step["step"] for step in shown["steps"] if step["state"] == "done"
    }
    assert (uuid, "live-migration", "completed") == (row["ID"], row["Type"], row["Status"])
    assert 0 == whimbrel("migration", "watch", "--server", server["name"]).status
    assert "migrate on host1 done" in whimbrel("migration", "show", uuid).out


@pytest.mark.parametrize(
    ("host", "words"), [("host1", "host1"), ("host9", "host9")], ids=["itself", "unknown"]
)
def test_an_impossible_destination_is_refused_at_once(whimbrel, server, host, words):
    """The sentence names the host, and the server is as it was."""
    for wait in ((), ("--wait",)):
        typed = whimbrel("server", "live-migrate", server["id"], "--host", host, *wait)

        assert 1 == typed.status
        assert words in typed.err
        assert "HTTP 400" in typed.err
    assert ("ACTIVE", "host1") == status(whimbrel, server)


def test_a_failed_preparation_is_told_and_undone(whimbrel, services, server):
    """Waiting or not, the guest stays, and who waits reads where it failed and why."""
    services.world.plant("host2", "prepare", errors.HypervisorError("the disk of host2 is full"))

    typed = whimbrel("server", "live-migrate", server["id"], "--wait")

    assert 1 == typed.status
    assert "failed (pre_live_migration on host2): the disk of host2 is full\n" in typed.err
    assert ["host1"] == services.world.running(server["id"])
    assert ("ACTIVE", "host1") == status(whimbrel, server)


def test_no_valid_host_says_why_of_each(whimbrel, server):
    """With the only other host disabled, its reason is in the refusal."""
    whimbrel("service", "disable", "host2", "--reason", "new memory")
    try:
        for wait in ((), ("--wait",)):
            typed = whimbrel("server", "live-migrate", server["id"], *wait)

            assert 1 == typed.status
            assert "host2" in typed.err
            assert "new memory" in typed.err
    finally:
        whimbrel("service", "enable", "host2")


def test_a_running_move_can_be_aborted(whimbrel, services):
    """The guest stays where it is, and who watches is told that it was cancelled."""
    server = create(whimbrel, "godwit", "m1.huge")
    uuid = whimbrel("server", "live-migrate", "godwit", "-f", "json").json["id"]

    aborted = whimbrel("migration", "abort", uuid)
    watched = whimbrel("migration", "watch", uuid)

    assert (0, "") == (aborted.status, aborted.err)
    assert 1 == watched.status
    assert "cancelled" in watched.err
    assert ["host1"] == services.world.running(server["id"])
    assert 0 == whimbrel("server", "delete", "--wait", "godwit").status


def test_two_servers_of_one_name_need_ids(whimbrel, server):
    """Nothing is done to either."""
    other = create(whimbrel, server["name"])

    typed = whimbrel("server", "stop", server["name"])

    assert 1 == typed.status
    assert server["id"] in typed.err
    assert other["id"] in typed.err
    assert ("ACTIVE", "host1") == status(whimbrel, server)
    assert 0 == whimbrel("server", "delete", "--wait", other["id"]).status


def test_hosts_show_what_is_promised(whimbrel, server):
    """A server's memory is counted on its host, and the host is up."""
    host = whimbrel("host", "show", "host1", "-f", "json").json
    rows = {row["Host"]: row for row in whimbrel("host", "list", "-f", "json").json}

    assert ("up", "enabled") == (host["state"], host["status"])
    assert 64 <= host["memory_mb_used"]
    assert set(HOSTS) == set(rows)
    assert "error: " in whimbrel("host", "show", "host9").err


@pytest.mark.parametrize(
    ("noun", "kind"),
    [
        ("server", "table"),
        ("migration", "yaml"),
        ("host", "csv"),
        ("service", "value"),
        ("image", "json"),
    ],
)
def test_lists_are_for_people_and_for_scripts(whimbrel, noun, kind):
    """Every kind of output works, and nothing but it is printed."""
    typed = whimbrel(noun, "list", "-f", kind)

    assert (0, "") == (typed.status, typed.err)


def test_flavors_and_networks_come_and_go(whimbrel):
    """What is created can be listed and deleted by name; a second one of the name is refused."""
    words = ("--vcpus", "2", "--ram", "128")
    assert 128 == whimbrel("flavor", "create", "f", *words, "-f", "json").json["memory_mib"]
    assert 1 == whimbrel("flavor", "create", "f", *words).status
    assert 0 == whimbrel("flavor", "delete", "f").status
    assert 0 == whimbrel("network", "create", "n", "--bridge", "br-n").status
    assert 0 == whimbrel("network", "delete", "n").status

    assert (
        "error: no network is called 'n'; see: whimbrel network list\n"
        == whimbrel("network", "delete", "n").err
    )


def test_a_wrong_password_is_refused(whimbrel):
    """Whoever is not known learns that, and nothing else."""
    typed = whimbrel("server", "list", WHIMBREL_PASSWORD="guess")

    assert (1, "") == (typed.status, typed.out)
    assert "error: the name or the password is wrong (HTTP 401" in typed.err


def test_an_unknown_flavor_is_an_error_before_anything_is_made(whimbrel):
    """No server of that name is left behind."""
    words = ("--flavor", "m9.none", "--image", "guest")

    assert "error: no flavor is called 'm9.none'; see: whimbrel flavor list\n" == (
        whimbrel("server", "create", "ruff", *words).err
    )
    assert 1 == whimbrel("server", "show", "ruff").status


def test_a_server_keeps_to_its_zone_and_its_group(whimbrel):
    """An operator makes a zone of a host, and a group whose servers are to be apart."""
    assert 0 == whimbrel("aggregate", "create", "rack", "--zone", "west").status
    assert 0 == whimbrel("aggregate", "add-host", "rack", "host2").status
    zones = whimbrel("zone", "list", "-f", "json").json
    assert 0 == whimbrel("server-group", "create", "web", "--policy", "anti-affinity").status
    what = ("--flavor", "m1.tiny", "--image", "guest", "--wait", "-f", "json")
    made = whimbrel("server", "create", "kept", *what, "--zone", "west", "--group", "web").json
    near = whimbrel("server", "create", "near", *what, "--zone", "west", "--group", "web")
    leaving = whimbrel("server", "live-migrate", "kept", "--host", "host1", "--wait")
    taken = whimbrel("aggregate", "remove-host", "rack", "host2")
    gone = whimbrel("server", "live-migrate", "kept", "--zone", "any", "--wait", "-f", "json")
    shown = whimbrel("server", "show", "kept", "-f", "json").json

    assert {"nova": "host1", "west": "host2"} == {row["Zone"]: row["Hosts"] for row in zones}
    assert ("host2", "west") == (made["host"], made["pinned_zone"])
    assert "is to stay apart" in near.err
    assert "belongs to west" in leaving.err
    assert "cannot leave availability zone west" in taken.err
    assert "completed" == gone.json["status"]
    assert ("host1", "nova") == (shown["host"], shown["pinned_zone"])
    assert 0 == whimbrel("server", "delete", "kept", "near", "--wait").status
    assert 0 == whimbrel("aggregate", "remove-host", "rack", "host2").status
    assert 0 == whimbrel("aggregate", "delete", "rack").status
    assert 0 == whimbrel("server-group", "delete", "web").status

"""The clients that OpenStack's users have, unmodified, against a running API.

Services and hosts are real but for the hypervisor, which is simulated: what
is tested is that both sides understand each other.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from keystoneauth1 import noauth
from keystoneauth1 import session
from novaclient import client as novaclient
from novaclient import exceptions

from common import clock
from common import images
from common import policy
from common.config import load
from services import together
from services.api import app
from services.api import calls
from services.api import http
from tests import waiting
from tests.integration import clients

pytest_plugins = ("tests.integration.client_services",)


def test_everything_can_be_listed(openstack):
    """With the name of a host, a zone, a flavor, an image where there is one."""
    assert ["cirros"] == [row["Name"] for row in openstack.ask("image", "list")]
    flavors = sorted(row["Name"] for row in openstack.ask("flavor", "list"))
    assert ["m1.huge", "m1.large", "m1.tiny"] == flavors
    assert ["tenant"] == [row["Name"] for row in openstack.ask("network", "list")]
    hosts = [row["Hypervisor Hostname"] for row in openstack.ask("hypervisor", "list")]
    assert ["host1", "host2"] == hosts
    services = {(row["Host"], row["State"]) for row in openstack.ask("compute", "service", "list")}
    assert {("host1", "up"), ("host2", "up")} <= services
    zones = [row["Zone Name"] for row in openstack.ask("availability", "zone", "list", "--compute")]
    assert ["internal", "nova"] == zones


@pytest.fixture
def guarded(services, folder) -> Iterator[str]:
    """The same services behind an API that wants a password."""
    conf = load.private(
        {
            "transport_url": "fake://",
            "database.connection": f"sqlite:///{folder}/whimbrel.db",
            "image.store": str(folder / "images"),
            "api.auth": "http_basic",
            "api.http_basic_file": str(folder / "htpasswd"),
        }
    )
    parts = calls.Parts(
        conf,
        services.database,
        services.conductor,
        images.Store(conf.image.store),
        policy.Policy(conf),
        clock.SystemClock(),
    )
    with http.listening(app.make(parts), "127.0.0.1", 0, 4) as root:
        yield root


def test_password_is_asked_for(guarded, tmp_path):
    right = clients.Openstack(
        tmp_path, clients.cloud(guarded, "http_basic", username="admin", password=clients.PASSWORD)
    )
    assert ["host1", "host2"] == sorted(
        row["Host"] for row in right.ask("compute", "service", "list", "--service", "nova-compute")
    )

    wrong = clients.Openstack(
        tmp_path, clients.cloud(guarded, "http_basic", username="admin", password="x")
    )
    assert "401" in wrong.refused("server", "list")


def test_server_is_made_found_changed_and_deleted(openstack, services):
    on = ("--image", "cirros", "--flavor", "m1.tiny", "--network", "tenant", "--property", "a=b")

    made = openstack.ask("server", "create", *on, "--wait", "web")

    assert ("ACTIVE", {"a": "b"}) == (made["status"], made["properties"])
    (listed,) = openstack.ask("server", "list", "--name", "^web$", "--status", "ACTIVE")
    assert (made["id"], "cirros", "m1.tiny") == (listed["ID"], listed["Image"], listed["Flavor"])
    openstack.tell("server", "set", "--property", "c=d", "web")
    assert {"a": "b", "c": "d"} == openstack.ask("server", "show", "web")["properties"]
    openstack.tell("server", "stop", "web")
    clients.status(services, made["id"], "SHUTOFF")
    openstack.tell("server", "delete", "--wait", "web")
    assert "No Server found" in openstack.refused("server", "show", "web")


def test_live_migration_arrives_and_is_told_about(openstack, server, services):
    made = server("vm")

    openstack.tell("server", "migrate", "--live-migration", "vm")

    assert "host2" == clients.status(services, made["id"], "ACTIVE")[clients.HOST]
    (move,) = openstack.ask("server", "migration", "list", "--server", "vm")
    assert ("completed", "live-migration", made["id"]) == (
        move["Status"],
        move["Type"],
        move["Server UUID"],
    )
    newest = openstack.ask("server", "event", "list", "vm")[0]
    event = openstack.ask("server", "event", "show", "vm", newest["Request ID"])
    assert "live-migration" == event["action"]
    assert {"Success"} == {part["result"] for part in event["events"]}


def test_refused_live_migration_says_why(openstack, server, services):
    """At once, for the openstack command speaks a version that waits for the checks."""
    made = server("vm")
    migrate = ("server", "migrate", "--live-migration")

    assert "on host1 already" in openstack.refused(*migrate, "--host", "host1", "vm")
    assert "nowhere" in openstack.refused(*migrate, "--host", "nowhere", "vm")
    clients.send(services, "POST", f"/servers/{made['id']}/action", {"os-stop": None})
    clients.status(services, made["id"], "SHUTOFF")
    assert "vm_state stopped" in openstack.refused(*migrate, "vm")


def test_no_valid_host_names_every_host(openstack, server, services):
    made = server("vm")
    service = ("compute", "service", "set", "host2", "nova-compute")

    openstack.tell(*service, "--disable", "--disable-reason", "broken fan")
    message = openstack.refused("server", "migrate", "--live-migration", "vm")
    openstack.tell(*service, "--enable")

    assert "host2" in message
    assert "broken fan" in message
    assert "host1" == clients.status(services, made["id"], "ACTIVE")[clients.HOST]


def test_move_is_seen_while_it_runs_and_aborted(openstack, server, services):
    made = server("vm", "m1.huge")
    openstack.tell("server", "migrate", "--live-migration", "vm")
    (move,) = openstack.ask("server", "migration", "list", "--server", "vm")
    going_on = f"/servers/{made['id']}/migrations/{move['UUID']}"
    waiting.until(
        lambda: clients.send(services, "GET", going_on)["migration"]["status"] == "running",
        "the move runs",
    )
    shown = openstack.ask("server", "migration", "show", "vm", move["UUID"])

    openstack.tell("server", "migration", "abort", "vm", move["UUID"])

    assert ("running", "host2") == (shown["Status"], shown["Dest Host"])
    assert "host1" == clients.status(services, made["id"], "ACTIVE")[clients.HOST]
    ended = clients.send(services, "GET", f"/os-migrations/{move['UUID']}")["migration"]
    assert "cancelled" == ended["status"]


def begun(openstack: clients.Openstack, services: together.Together, name: str, wanted: str) -> Any:
    """Begin a move, wait for its status, and give it as it is listed."""
    openstack.tell("server", "migrate", "--live-migration", name)
    (move,) = openstack.ask("server", "migration", "list", "--server", name)
    path = f"/os-migrations/{move['UUID']}"
    waiting.until(
        lambda: clients.send(services, "GET", path)["migration"]["status"] == wanted,
        f"it is {wanted}",
    )
    return move


def test_running_move_is_forced_into_post_copy(openstack, server, services):
    """Which is seen in both lists, cannot be aborted any more, and arrives."""
    made = server("vm", "m1.huge")
    move = begun(openstack, services, "vm", "running")
    path = f"/servers/{made['id']}/migrations/{move['UUID']}"
    waiting.until(
        lambda: clients.send(services, "GET", path)["migration"]["memory_processed_bytes"],
        "memory is copied",
    )

    openstack.tell("server", "migration", "force", "complete", "vm", str(move["Id"]))

    waiting.until(
        lambda: clients.send(services, "GET", path)["migration"]["status"] == "running (post-copy)",
        "it is in post-copy",
    )
    shown = openstack.ask("server", "migration", "show", "vm", move["UUID"])
    (listed,) = openstack.ask("server", "migration", "list", "--server", "vm")
    refused = openstack.refused("server", "migration", "abort", "vm", move["UUID"])
    assert {"running (post-copy)"} == {shown["Status"], listed["Status"]}
    assert "its guest runs at host2" in refused
    waiting.until(
        lambda: clients.show(services, made["id"])[clients.TASK] is None, "it arrives", seconds=90
    )
    assert "host2" == clients.status(services, made["id"], "ACTIVE")[clients.HOST]


def test_queued_move_is_aborted(openstack, server, services):
    """And not forced: there is nothing yet that could be."""
    for name in ("one", "two"):
        server(name, "m1.huge")
        begun(openstack, services, name, "running")
    made = server("three", "m1.large")
    move = begun(openstack, services, "three", "queued")

    forced = openstack.refused("server", "migration", "force", "complete", "three", str(move["Id"]))
    openstack.tell("server", "migration", "abort", "three", move["UUID"])

    assert "while it is queued" in forced
    assert "host1" == clients.status(services, made["id"], "ACTIVE")[clients.HOST]
    ended = clients.send(services, "GET", f"/os-migrations/{move['UUID']}")["migration"]
    assert "cancelled" == ended["status"]
    for row in clients.send(services, "GET", "/os-migrations?status=running")["migrations"]:
        clients.send(services, "DELETE", f"/servers/{row['instance_uuid']}/migrations/{row['id']}")


@pytest.mark.parametrize("version", ["2.1", "2.24", "2.25", "2.30", "2.67", "2.90"])
def test_novaclient_moves_a_server(services, server, version):
    """Each with the body of its microversion."""
    made = server("vm")
    nova = novaclient.Client(
        version, session=session.Session(auth=noauth.NoAuth(endpoint=f"{services.endpoint}/v2.1"))
    )
    old = version in {"2.1", "2.24"}
    how = {"block_migration": True, "disk_over_commit": False} if old else {}
    found = nova.servers.get(made["id"])

    found.live_migrate("host2", **how)

    assert "host2" == clients.status(services, made["id"], "ACTIVE")[clients.HOST]
    with pytest.raises(exceptions.NotFound, match="does not exist"):
        nova.servers.get("unknown")
    with pytest.raises(exceptions.BadRequest, match="nowhere"):
        found.live_migrate("nowhere", **how)


def test_hosts_are_grouped_into_zones(openstack):
    """By the commands of operators; what speaks against it comes with its reason."""
    made = openstack.ask("aggregate", "create", "--zone", "west", "--property", "ssd=true", "rack")
    openstack.tell("aggregate", "add", "host", "rack", "host2")
    openstack.tell("aggregate", "set", "--name", "row", "--property", "gpu=no", "rack")
    shown = openstack.ask("aggregate", "show", "row")
    zones = openstack.ask("availability", "zone", "list", "--compute", "--long")
    refused = openstack.refused("aggregate", "delete", "row")
    openstack.tell("aggregate", "remove", "host", "row", "host2")
    openstack.tell("aggregate", "delete", str(made["id"]))

    assert (["host2"], "west") == (shown["hosts"], shown["availability_zone"])
    assert {"ssd": "true", "gpu": "no"} == shown["properties"]
    assert "host2" in {row["Host Name"] for row in zones if row["Zone Name"] == "west"}
    assert "remove them first" in refused
    assert [] == openstack.ask("aggregate", "list")


def test_servers_are_grouped(openstack, server, services):
    """A member says so, and its group keeps it from the host of the other."""
    group = openstack.ask(
        "server", "group", "create", "--policy", "anti-affinity", "--rule",
        "max_server_per_host=1", "web",
    )  # fmt: skip
    for name in ("a", "b"):
        wanted = ("--image", "cirros", "--flavor", "m1.tiny", "--nic", "none", "--wait")
        openstack.tell("server", "create", *wanted, "--hint", f"group={group['id']}", name)
    shown = openstack.ask("server", "group", "show", "web")
    first, second = (openstack.ask("server", "show", name) for name in ("a", "b"))
    by_id = openstack.ask("server", "show", first["id"])
    there = ("--live-migration", "--host", second[clients.HOST], "a")
    refused = openstack.refused("server", "migrate", *there)
    openstack.tell("server", "delete", "--wait", "a", "b")
    openstack.tell("server", "group", "delete", "web")

    assert {first["id"], second["id"]} == set(shown["members"])
    assert {first[clients.HOST], second[clients.HOST]} == {"host1", "host2"}
    assert [group["id"]] == by_id["server_groups"]
    assert "is to stay apart" in refused


@pytest.mark.parametrize("version", ["2.1", "2.63", "2.64", "2.90"])
def test_novaclient_groups_hosts_and_servers(services, version):
    """In the older form with a list of policies, and in the newer with rules."""
    nova = novaclient.Client(
        version, session=session.Session(auth=noauth.NoAuth(endpoint=f"{services.endpoint}/v2.1"))
    )
    how = ("anti-affinity",) if version in {"2.64", "2.90"} else (["anti-affinity"],)

    rack = nova.aggregates.create("rack", "west")
    rack.add_host("host1")
    rack.set_metadata({"ssd": "true"})
    group = nova.server_groups.create("web", *how)
    zones = {zone.zoneName: zone.hosts for zone in nova.availability_zones.list()}
    listed = [found.name for found in nova.server_groups.list()]
    rack.remove_host("host1")
    rack.delete()
    group.delete()

    assert ["web"] == listed
    assert {"internal", "nova", "west"} == zones.keys()
    assert ["host1"] == list(zones["west"])
    assert [] == [*nova.aggregates.list(), *nova.server_groups.list()]

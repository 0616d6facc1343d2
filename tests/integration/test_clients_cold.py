"""OpenStack's clients, unmodified: cold migrations and resizes, and what their users decide."""

import pytest
from keystoneauth1 import noauth
from keystoneauth1 import session
from novaclient import client as novaclient
from novaclient import exceptions

from tests.integration import clients

pytest_plugins = ("tests.integration.client_services",)


def kind(openstack: clients.Openstack, name: str) -> tuple[str, str]:
    """Give type and status of a server's newest move, as they are listed."""
    newest = openstack.ask("server", "migration", "list", "--server", name)[0]
    return newest["Type"], newest["Status"]


@pytest.mark.parametrize(
    ("words", "end", "host"),
    [
        (("migration", "confirm"), "confirmed", "host2"),
        (("migration", "revert"), "reverted", "host1"),
        (("migrate", "confirm"), "confirmed", "host2"),
        (("migrate", "revert"), "reverted", "host1"),
    ],
)
def test_server_is_migrated_and_its_user_decides(openstack, server, services, words, end, host):
    """The command waits until the server is there, and asks for the decision."""
    made = server("vm")

    openstack.tell("server", "migrate", "--wait", "vm")

    assert "host2" == clients.status(services, made["id"], "VERIFY_RESIZE")[clients.HOST]
    assert ("migration", "finished") == kind(openstack, "vm")
    openstack.tell("server", *words, "vm")
    assert host == clients.status(services, made["id"], "ACTIVE")[clients.HOST]
    assert ("migration", end) == kind(openstack, "vm")


def test_server_is_migrated_to_a_host_by_name(openstack, server, services):
    """A host that cannot be is refused, and the server stays as it is."""
    made = server("vm")

    refused = openstack.refused("server", "migrate", "--host", "host1", "vm")
    openstack.tell("server", "migrate", "--host", "host2", "--wait", "vm")

    assert "on host1 already" in refused
    assert "host2" == clients.status(services, made["id"], "VERIFY_RESIZE")[clients.HOST]


@pytest.mark.parametrize(
    ("words", "end", "flavor"),
    [
        (("resize", "confirm"), "confirmed", "m1.large"),
        (("resize", "revert"), "reverted", "m1.tiny"),
    ],
)
def test_server_is_resized_and_its_user_decides(openstack, server, services, words, end, flavor):
    """A stopped server stays so; what is not to be is refused before anything is touched."""
    made = server("vm")
    clients.send(services, "POST", f"/servers/{made['id']}/action", {"os-stop": None})
    clients.status(services, made["id"], "SHUTOFF")

    same = openstack.refused("server", "resize", "--flavor", "m1.tiny", "vm")
    early = openstack.refused("server", "resize", "confirm", "vm")
    openstack.tell("server", "resize", "--flavor", "m1.large", "--wait", "vm")

    assert "has flavor m1.tiny already" in same
    assert "vm_state stopped" in early
    assert "m1.large" == openstack.ask("server", "show", "vm")["flavor"]["original_name"]
    assert ("resize", "finished") == kind(openstack, "vm")
    openstack.tell("server", *words, "vm")
    assert flavor == clients.status(services, made["id"], "SHUTOFF")["flavor"]["original_name"]
    assert ("resize", end) == kind(openstack, "vm")


@pytest.mark.parametrize("version", ["2.1", "2.55", "2.56", "2.90"])
def test_novaclient_migrates_and_resizes_a_server(services, server, version):
    """Each with the body of its microversion; only from 2.56 on a host can be named."""
    made = server("vm")
    nova = novaclient.Client(
        version, session=session.Session(auth=noauth.NoAuth(endpoint=f"{services.endpoint}/v2.1"))
    )
    found = nova.servers.get(made["id"])

    found.migrate(**({"host": "host2"} if version in {"2.56", "2.90"} else {}))
    there = clients.status(services, made["id"], "VERIFY_RESIZE")[clients.HOST]
    found.revert_resize()
    back = clients.status(services, made["id"], "ACTIVE")[clients.HOST]
    found.resize("m1.large")
    clients.status(services, made["id"], "VERIFY_RESIZE")
    found.confirm_resize()

    assert ("host2", "host1") == (there, back)
    assert "m1.large" == clients.status(services, made["id"], "ACTIVE")["flavor"]["original_name"]
    with pytest.raises(exceptions.Conflict, match="vm_state active"):
        found.confirm_resize()
    with pytest.raises(exceptions.BadRequest, match="unknown"):
        found.resize("unknown")

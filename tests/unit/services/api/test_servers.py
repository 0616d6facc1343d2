import hashlib

import pytest

from common import states
from common.db import networks
from services.api.views import servers as views
from tests import factories

# What a strict client (Tempest) accepts of a server, by the microversion that added it.
FIRST = {
    *("id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor"),
    *("created", "updated", "addresses", "accessIPv4", "accessIPv6", "links", "progress"),
    *("OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "config_drive", "key_name"),
    *("OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "OS-EXT-STS:task_state"),
    *("OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached"),
    *("security_groups", "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname"),
    "OS-EXT-SRV-ATTR:instance_name",
}
ADDED = {
    "2.3": {
        f"OS-EXT-SRV-ATTR:{name}"
        for name in (
            *("hostname", "kernel_id", "ramdisk_id", "launch_index", "reservation_id"),
            *("root_device_name", "user_data"),
        )
    },
    "2.9": {"locked"},
    "2.16": {"host_status"},
    "2.19": {"description"},
    "2.26": {"tags"},
    "2.63": {"trusted_image_certificates"},
    "2.71": {"server_groups"},
    "2.73": {"locked_reason"},
    "2.96": {"pinned_availability_zone"},
}
EMBEDDED = {"vcpus", "ram", "disk", "ephemeral", "swap", "original_name", "extra_specs"}


def number(version: str) -> int:
    return int(version.partition(".")[2])


@pytest.mark.parametrize("version", ["2.1", *ADDED, "2.47", "2.75", "2.90"])
def test_server_has_exactly_the_fields_of_its_microversion(api, version):
    server = api.server()
    added = (names for since, names in ADDED.items() if number(since) <= number(version))

    shown = api.get(f"/servers/{server.uuid}", version)["server"]

    assert FIRST.union(*added) == shown.keys()


def test_flavor_is_embedded_from_2_47(api):
    server = api.server()

    before = api.get(f"/servers/{server.uuid}", "2.46")["server"]["flavor"]
    after = api.get(f"/servers/{server.uuid}", "2.47")["server"]["flavor"]

    assert {"id", "links"} == before.keys()
    assert EMBEDDED == after.keys()


@pytest.mark.parametrize(
    ("vm_state", "task", "status"),
    [
        ("building", "spawning", "BUILD"),
        ("active", None, "ACTIVE"),
        ("active", "migrating", "MIGRATING"),
        ("active", "powering_off", "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "resize_prep", "RESIZE"),
        ("paused", None, "PAUSED"),
        ("paused", "migrating", "MIGRATING"),
        ("stopped", None, "SHUTOFF"),
        ("stopped", "resize_migrating", "RESIZE"),
        ("resized", None, "VERIFY_RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("error", None, "ERROR"),
    ],
)
def test_status_is_one_word_for_state_and_task(api, vm_state, task, status):
    server = api.server(vm_state=vm_state, task_state=task)
    api.server(vm_state="active" if vm_state != "active" else "stopped", task_state="powering_on")

    shown = api.get(f"/servers/{server.uuid}")["server"]
    found = api.get(f"/servers?status={status.lower()}")["servers"]

    assert status == shown["status"]
    assert server.uuid in [row["id"] for row in found]


@pytest.mark.parametrize("vm_state", list(states.Vm))
@pytest.mark.parametrize("task", [None, *states.Task])
def test_every_state_has_a_status_that_finds_it(vm_state, task):
    word = views.status(factories.instance(vm_state=vm_state, task_state=task))
    vm_states, tasks = views.states_of(word)

    assert vm_state in vm_states
    assert task in tasks


def test_unknown_status_finds_nothing(api):
    api.server()

    assert [] == api.get("/servers?status=WONDERFUL")["servers"]


def test_progress_is_shown_while_there_is_any(api):
    moving = api.server(task_state="migrating", progress=40)
    stopped = api.server(vm_state="stopped")

    assert 40 == api.get(f"/servers/{moving.uuid}")["server"]["progress"]
    assert "progress" not in api.get(f"/servers/{stopped.uuid}")["server"]


def test_fault_says_why_a_server_is_in_error(api):
    server = api.server(
        vm_state="error",
        fault_code="no_valid_host",
        fault_message="no host has room",
        fault_at=factories.NOW,
    )

    fault = api.get(f"/servers/{server.uuid}")["server"]["fault"]

    assert {
        "code": 500,
        "created": "2026-01-01T00:00:00Z",
        "message": "no host has room",
        "details": "no_valid_host",
    } == fault


def test_addresses_come_from_ports(api):
    network = api.network()
    server = api.server()
    with api.database.write() as tx:
        networks.allocate(tx, network.id, server.uuid)

    shown = api.get(f"/servers/{server.uuid}")["server"]["addresses"]

    assert {
        "tenant": [
            {
                "addr": "198.51.100.3",
                "version": 4,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": "fa:16:c6:33:64:03",
            }
        ]
    } == shown
    assert {"tenant": [{"addr": "198.51.100.3", "version": 4}]} == api.get(
        f"/servers/{server.uuid}/ips"
    )["addresses"]


def test_host_id_hides_the_host_but_tells_two_apart(api):
    server = api.server(host="host1")

    shown = api.get(f"/servers/{server.uuid}")["server"]["hostId"]

    assert hashlib.sha224(b"whimbrelhost1").hexdigest() == shown


def test_host_status_follows_the_service(api):
    api.host("host1")
    server = api.server(host="host1")
    elsewhere = api.server(host="nowhere")

    listed = api.get("/servers/detail", "2.16")["servers"]

    words = {row["id"]: row["host_status"] for row in listed}
    assert {server.uuid: "UP", elsewhere.uuid: ""} == words


def test_name_is_not_an_id(api):
    """Clients look a name up as an id first, and need the 404 to go on with the list."""
    server = api.server(name="web")

    api.get("/servers/web", status=404)
    found = api.get("/servers/detail?name=web")["servers"]

    assert [server.uuid] == [row["id"] for row in found]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["db", "web2", "web1"]),
        ("name=^web", ["web2", "web1"]),
        ("host=host2", ["db"]),
        ("flavor=1", ["db", "web2", "web1"]),
        ("flavor=http://x/flavors/9", []),
        ("vm_state=stopped", ["web2"]),
        ("status=ACTIVE", ["db", "web1"]),
        ("power_state=4", ["web2"]),
        ("deleted=False&all_tenants=True", ["other", "db", "web2", "web1"]),
        ("all_tenants=1&project_id=other", ["other"]),
        ("nonsense=1", ["db", "web2", "web1"]),
        ("limit=2", ["db", "web2"]),
        ("limit=0", []),
        ("deleted=true", ["gone"]),
    ],
)
def test_list_is_narrowed_by_what_is_asked(api, query, found):
    api.server(name="web1")
    api.server(name="web2", vm_state="stopped", power_state=4)
    api.server(name="db", host="host2")
    api.server(name="other", project_id="other")
    api.server(name="gone", vm_state="deleted")

    names = [row["name"] for row in api.get(f"/servers?{query}")["servers"]]

    assert found == names


def test_list_is_narrowed_by_uuid_and_image(api):
    image = factories.image()
    server = api.server(image=image)
    api.server()

    for query in (f"uuid={server.uuid}", f"image={image.id}"):
        assert [server.uuid] == [row["id"] for row in api.get(f"/servers?{query}")["servers"]]


def test_deleted_server_is_not_found(api):
    server = api.server(vm_state="deleted")

    api.get(f"/servers/{server.uuid}", status=404)


def test_pages_are_linked_to_the_end(api):
    made = {api.server(name=f"vm{number}").uuid for number in range(5)}
    path, seen = "/servers?limit=2&name=vm", []

    while path:
        page = api.get(path)
        seen += [row["id"] for row in page["servers"]]
        links = page.get("servers_links", [{"href": ""}])
        path = links[0]["href"].removeprefix("http://localhost/v2.1")

    assert made == set(seen)
    assert len(made) == len(seen)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("marker=unknown", "marker"),
        ("name=*", "regular expression"),
        ("changes-since=yesterday", "changes-since"),
    ],
)
def test_query_that_makes_no_sense_is_refused(api, query, word):
    assert word in api.refuse("GET", f"/servers?{query}", None, 400)


def test_changes_since_shows_deleted_servers_too(api):
    gone = api.server(vm_state="deleted")

    found = api.get("/servers?changes-since=2025-12-31T00:00:00Z")["servers"]
    later = api.get("/servers?changes-since=2026-12-31T00:00:00")["servers"]

    assert [gone.uuid] == [row["id"] for row in found]
    assert [] == later


def test_update_changes_name_and_description(api):
    server = api.server()
    body = {"server": {"name": "new", "description": "a server"}}

    shown = api.ask("PUT", f"/servers/{server.uuid}", body, version="2.19").json["server"]

    assert ("new", "a server") == (shown["name"], shown["description"])
    assert "OS-EXT-STS:vm_state" not in shown


def test_update_shows_the_whole_server_from_2_75(api):
    server = api.server()

    shown = api.ask("PUT", f"/servers/{server.uuid}", {"server": {}}, version="2.75").json

    assert "OS-EXT-STS:vm_state" in shown["server"]


def test_description_is_not_known_before_2_19(api):
    server = api.server()
    body = {"server": {"description": "x"}}

    message = api.refuse("PUT", f"/servers/{server.uuid}", body, 400)

    assert "server.description" in message


def test_delete_begins_at_once(api):
    api.host("host1")
    server = api.server()

    response = api.ask("DELETE", f"/servers/{server.uuid}")

    assert (204, b"") == (response.status_code, response.data)
    assert "deleting" == api.get(f"/servers/{server.uuid}")["server"]["OS-EXT-STS:task_state"]


def test_metadata_is_read_and_written(api):
    path = f"/servers/{api.server(metadata={'a': '1'}).uuid}/metadata"

    assert {"metadata": {"a": "1", "b": "2"}} == api.post(
        path, {"metadata": {"b": "2"}}, status=200
    )
    assert {"meta": {"a": "3"}} == api.ask("PUT", f"{path}/a", {"meta": {"a": "3"}}).json
    assert {"meta": {"a": "3"}} == api.get(f"{path}/a")
    assert 204 == api.ask("DELETE", f"{path}/a").status_code
    assert {"metadata": {"b": "2"}} == api.get(path)
    assert {"metadata": {"c": "4"}} == api.ask("PUT", path, {"metadata": {"c": "4"}}).json


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", "/x", None, 404, "x"),
        ("DELETE", "/x", None, 404, "x"),
        ("PUT", "/x", {"meta": {"y": "1"}}, 400, "meta.x"),
        ("POST", "", {"metadata": {"k": 1}}, 400, "metadata.k"),
        ("POST", "", {"metadata": {"k": "x" * 256}}, 400, "metadata.k"),
        ("POST", "", {}, 400, "metadata is missing"),
    ],
)
def test_metadata_refusals_name_the_item(api, method, path, body, status, word):
    server = api.server()

    assert word in api.refuse(method, f"/servers/{server.uuid}/metadata{path}", body, status)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("os-volume_attachments", "volumeAttachments"),
        ("os-security-groups", "security_groups"),
        ("os-interface", "interfaceAttachments"),
    ],
)
def test_what_does_not_exist_is_an_empty_list(api, path, name):
    server = api.server()

    assert {name: []} == api.get(f"/servers/{server.uuid}/{path}")
    api.get(f"/servers/unknown/{path}", status=404)

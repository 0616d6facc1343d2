"""Flavors, images and networks."""

import pytest

from common.db import networks
from services.api.views import flavors as views
from tests import factories

FLAVOR = {"name": "m1.tiny", "ram": 64, "vcpus": 1, "disk": 1}
FIELDS = {
    *("id", "name", "ram", "disk", "vcpus", "swap", "links", "rxtx_factor"),
    *("OS-FLV-EXT-DATA:ephemeral", "OS-FLV-DISABLED:disabled", "os-flavor-access:is_public"),
}


@pytest.mark.parametrize(
    ("version", "more"),
    [("2.1", set()), ("2.55", {"description"}), ("2.61", {"description", "extra_specs"})],
)
def test_flavor_has_exactly_the_fields_of_its_microversion(api, version, more):
    api.flavor()

    shown = api.get("/flavors/1", version)["flavor"]

    assert FIELDS | more == shown.keys()


@pytest.mark.parametrize(("version", "swap"), [("2.74", ""), ("2.75", 0)])
def test_no_swap_is_a_number_from_2_75(api, version, swap):
    api.flavor()

    assert swap == api.get("/flavors/1", version)["flavor"]["swap"]


@pytest.mark.parametrize(
    "more",
    [
        {"id": None},
        {"id": "auto"},
        {"id": 7},
        {"ram": "64", "vcpus": "1", "disk": "0"},
        {"os-flavor-access:is_public": "True", "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 0},
        {"rxtx_factor": 1.0},
    ],
)
def test_flavor_is_made_of_what_clients_send(api, more):
    made = api.post("/flavors", {"flavor": {**FLAVOR, **more}}, status=200)["flavor"]

    assert ("m1.tiny", 64) == (made["name"], made["ram"])
    assert made == api.get(f"/flavors/{made['id']}")["flavor"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"ram": 0}, "flavor.ram"),
        ({"ram": "much"}, "flavor.ram"),
        ({"vcpus": -1}, "flavor.vcpus"),
        ({"name": ""}, "flavor.name"),
        ({"colour": "red"}, "flavor.colour"),
        ({"description": "x"}, "flavor.description"),
    ],
)
def test_malformed_flavor_names_the_field(api, more, field):
    assert field in api.refuse("POST", "/flavors", {"flavor": {**FLAVOR, **more}}, 400)


def test_second_flavor_of_a_name_is_a_conflict(api):
    api.flavor()

    api.refuse("POST", "/flavors", {"flavor": FLAVOR}, 409)


def test_flavor_is_known_by_id_only(api):
    """Clients look a name up as an id first, and need the 404 to go on with the list."""
    api.flavor()

    api.get("/flavors/m1.tiny", status=404)


def test_flavors_are_narrowed_and_paged(api):
    api.flavor(id="1", name="a", memory_mb=64)
    api.flavor(id="2", name="b", memory_mb=128)
    api.flavor(id="3", name="c", memory_mb=256, is_public=False)

    def names(query: str) -> list[str]:
        return [row["name"] for row in api.get(f"/flavors/detail?{query}")["flavors"]]

    assert ["a", "b"] == names("")
    assert ["a", "b", "c"] == names("is_public=None")
    assert ["c"] == names("is_public=false")
    assert ["b"] == names("minRam=100")
    assert ["a"] == names("limit=1")
    assert ["b"] == names("marker=1")
    assert "flavors_links" in api.get("/flavors?limit=1")
    assert "minDisk" in api.refuse("GET", "/flavors?minDisk=x", None, 400)
    assert "marker" in api.refuse("GET", "/flavors?marker=9", None, 400)


def test_deleted_flavor_is_gone(api):
    api.flavor()

    assert 202 == api.ask("DELETE", "/flavors/1").status_code
    api.refuse("DELETE", "/flavors/1", None, 404)


def test_extra_specs_are_written_one_by_one(api):
    api.flavor()
    path = "/flavors/1/os-extra_specs"

    api.post(path, {"extra_specs": {"hw:a": "1", "hw:b": 2}}, status=200)
    api.ask("PUT", f"{path}/hw:a", {"hw:a": "3"})

    assert {"extra_specs": {"hw:a": "3", "hw:b": "2"}} == api.get(path)
    assert {"hw:a": "3"} == api.get(f"{path}/hw:a")
    assert 200 == api.ask("DELETE", f"{path}/hw:a").status_code
    api.refuse("DELETE", f"{path}/hw:a", None, 404)
    assert "hw:b" in api.refuse("PUT", f"{path}/hw:b", {"x": "1"}, 400)


def test_embedded_flavor_has_no_id():
    assert "id" not in views.embedded(factories.flavor())


@pytest.mark.parametrize("prefix", ["/v2.1", "/v2.1/v2", "/image/v2"])
def test_images_are_found_wherever_clients_look(api, prefix):
    image = api.parts.images.get("disk")

    named = api.client.get(f"{prefix}/images?name=disk").json["images"]
    shown = api.client.get(f"{prefix}/images/{image.id}").json

    assert [shown] == named
    assert ("active", image.checksum) == (shown["status"], shown["os_hash_value"])
    assert 404 == api.client.get(f"{prefix}/images/disk").status_code
    some = api.client.get(f"{prefix}/images?id=in:{image.id},x").json["images"]
    assert [shown] == some


def test_images_are_paged(api):
    first = api.client.get("/image/v2/images?limit=2").json
    rest = api.client.get(first["next"]).json

    assert (2, 1) == (len(first["images"]), len(rest["images"]))


def test_image_properties_are_part_of_the_image(api):
    shown = api.get(f"/images/{api.parts.images.get('direct').id}")

    assert api.parts.images.get("direct-kernel").id == shown["kernel_id"]


@pytest.mark.parametrize("prefix", ["/v2.1", "/network/v2.0"])
def test_network_is_registered_and_forgotten(api, prefix):
    body = {
        "network": {
            "name": "tenant",
            "provider:physical_network": "br-tenant",
            "cidr": "198.51.100.128/25",
            "allocation_pools": [{"start": "198.51.100.130", "end": "198.51.100.140"}],
            "admin_state_up": True,
        }
    }

    made = api.client.post(f"{prefix}/networks", json=body)
    network = made.json["network"]

    assert (201, "br-tenant") == (made.status_code, network["provider:physical_network"])
    path = f"{prefix}/networks/{network['id']}"
    assert {"network": network} == api.client.get(path).json
    assert [network] == api.client.get(f"{prefix}/networks?name=tenant").json["networks"]
    assert [] == api.client.get(f"{prefix}/networks?name=other").json["networks"]
    assert 404 == api.client.get(f"{prefix}/networks/tenant").status_code
    (subnet,) = api.client.get(f"{prefix}/subnets?network_id={network['id']}").json["subnets"]
    assert "198.51.100.128/25" == subnet["cidr"]
    assert 204 == api.client.delete(path).status_code
    assert 404 == api.client.get(path).status_code


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"cidr": "everything"}, "network.cidr"),
        ({"provider:physical_network": "a bridge"}, "network.provider:physical_network"),
        ({"provider:physical_network": None}, "network.provider:physical_network"),
        ({"allocation_pools": [{"start": "198.51.100.1"}]}, "network.allocation_pools[0].end"),
        (
            {"allocation_pools": [{"start": "198.51.100.1", "end": "198.51.100.2"}]},
            "network.cidr is missing",
        ),
    ],
)
def test_malformed_network_names_the_field(api, more, field):
    body = {"network": {"name": "n", "provider:physical_network": "br0", **more}}

    assert field in api.refuse("POST", "/networks", body, 400)


def test_network_in_use_stays(api):
    network = api.network()
    server = api.server()
    join(api, network, server)

    api.refuse("DELETE", f"/networks/{network.id}", None, 409)


def test_ports_are_those_of_a_server(api):
    network = api.network()
    server, other = api.server(), api.server()
    join(api, network, server)
    join(api, network, other)

    (port,) = api.get(f"/ports?device_id={server.uuid}")["ports"]
    (card,) = api.get(f"/servers/{server.uuid}/os-interface")["interfaceAttachments"]

    assert (server.uuid, network.id) == (port["device_id"], port["network_id"])
    assert (port["id"], port["fixed_ips"]) == (card["port_id"], card["fixed_ips"])
    assert 2 == len(api.get("/ports")["ports"])


def join(api, network, server) -> None:
    """Give a server an address."""
    with api.database.write() as tx:
        networks.allocate(tx, network.id, server.uuid)

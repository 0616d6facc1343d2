import pytest

from common.db import servers
from services.api.handlers import create

DISK = {"uuid": "x", "source_type": "image", "boot_index": 0, "destination_type": "local"}

# Microversions that want networks in every body.
LATER = {"2.73", "2.74", "2.90"}


@pytest.fixture
def ready(api):
    """An API with a flavor and a host."""
    api.flavor()
    api.host("host1", availability_zone="nova")
    return api


def body(api, image: str = "disk", **values: object) -> dict[str, object]:
    """What Tempest sends: no more than is needed."""
    given = {
        "name": "vm",
        "imageRef": api.parts.images.get(image).id,
        "flavorRef": "1",
        **values,
    }
    return {"server": {key: value for key, value in given.items() if value is not None}}


def made(api, response):
    """The server as the database has it."""
    with api.database.read() as tx:
        return servers.get(tx, response["server"]["id"])


def test_answer_names_the_server_and_where_it_is(ready):
    response = ready.ask("POST", "/servers", body(ready))

    assert 202 == response.status_code
    assert {"id", "links", "OS-DCF:diskConfig", "security_groups"} == response.json["server"].keys()
    assert response.headers["Location"].endswith(f"/v2.1/servers/{response.json['server']['id']}")


def test_server_is_building_before_the_answer(ready):
    server = made(ready, ready.post("/servers", body(ready)))

    assert ("building", "spawning") == (server.vm_state, server.task_state)
    assert ("vm", "vm", "m1.tiny", "disk") == (
        server.name,
        server.hostname,
        server.flavor.name,
        server.image.name,
    )


def test_openstack_client_names_the_image_twice(ready):
    """As a block device and as imageRef; some clients send only the first."""
    image = ready.parts.images.get("disk").id
    disk = [{**DISK, "uuid": image, "delete_on_termination": True}]
    for reference in (image, "", None):
        wanted = body(
            ready,
            min_count=1,
            max_count=1,
            networks="auto",
            block_device_mapping_v2=disk,
            imageRef=reference,
        )
        response = ready.post("/servers", wanted, "2.96")

        assert image == made(ready, response).image.id


def test_references_may_be_urls(ready):
    image = ready.parts.images.get("disk").id
    wanted = body(ready, imageRef=f"http://x/images/{image}", flavorRef="http://x/flavors/1")

    server = made(ready, ready.post("/servers", wanted))

    assert (image, "1") == (server.image.id, server.flavor.id)


def test_kernel_comes_with_its_image(ready):
    server = made(ready, ready.post("/servers", body(ready, "direct")))

    assert "direct-kernel" == server.kernel.name
    assert server.ramdisk is None


@pytest.mark.parametrize(
    ("networks", "version", "count"),
    [
        (None, "2.1", 1),
        ("auto", "2.37", 1),
        ("none", "2.37", 0),
        ([], "2.1", 0),
        ([{"uuid": "tenant"}], "2.1", 1),
        ([{"uuid": "tenant"}, {"uuid": "tenant"}], "2.96", 2),
    ],
)
def test_networks_are_none_the_only_one_or_those_named(ready, networks, version, count):
    ready.network()

    response = ready.post("/servers", body(ready, networks=networks), version)

    assert count == len(made(ready, response).ports)


def test_without_any_network_auto_is_none(ready):
    assert [] == made(ready, ready.post("/servers", body(ready))).ports


def test_choice_among_networks_is_the_users(ready):
    ready.network(name="blue")
    ready.network(name="red")

    message = ready.refuse("POST", "/servers", body(ready), 400)

    assert "blue, red" in message


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ({"availability_zone": "nova:host1"}, "2.1"),
        ({"availability_zone": "nova:host1:host1"}, "2.1"),
        ({"host": "host1"}, "2.74"),
        ({"hypervisor_hostname": "host1", "availability_zone": "nova"}, "2.74"),
    ],
)
def test_host_can_be_named(ready, wanted, version):
    ready.post("/servers", body(ready, networks=[], **wanted), version)


def test_zone_is_kept(ready):
    server = made(ready, ready.post("/servers", body(ready, availability_zone="nova")))

    assert "nova" == server.pinned_zone


@pytest.mark.parametrize(
    ("wanted", "version", "field"),
    [
        ({"name": ""}, "2.1", "server.name"),
        ({"name": " x"}, "2.1", "server.name"),
        ({"name": "x" * 256}, "2.1", "server.name"),
        ({"name": None}, "2.1", "server.name is missing"),
        ({"flavorRef": None}, "2.1", "server.flavorRef is missing"),
        ({"flavorRef": "9"}, "2.1", "server.flavorRef"),
        ({"imageRef": None}, "2.1", "server.imageRef"),
        ({"imageRef": "unknown"}, "2.1", "server.imageRef"),
        ({"networks": None}, "2.37", "server.networks is missing"),
        ({"networks": "auto"}, "2.36", "server.networks"),
        ({"networks": "some"}, "2.37", "server.networks"),
        ({"networks": [{"uuid": "x"}]}, "2.1", "server.networks[0].uuid"),
        ({"networks": [{"port": "x"}]}, "2.1", "server.networks[0]"),
        ({"networks": [{"uuid": "x", "fixed_ip": "10.0.0.1"}]}, "2.1", "server.networks[0]"),
        ({"metadata": {"a": 1}}, "2.1", "server.metadata.a"),
        ({"min_count": 2}, "2.1", "server.min_count"),
        ({"user_data": "aGk="}, "2.1", "server.user_data"),
        ({"key_name": "mine"}, "2.1", "server.key_name"),
        ({"config_drive": True}, "2.1", "server.config_drive"),
        ({"security_groups": [{"name": "web"}]}, "2.1", "server.security_groups"),
        ({"personality": [{}]}, "2.1", "server.personality"),
        ({"host": "host1"}, "2.73", "server.host"),
        ({"host": "unknown", "networks": []}, "2.74", "server.host"),
        ({"availability_zone": "mars"}, "2.1", "server.availability_zone"),
        ({"availability_zone": "nova:unknown"}, "2.1", "unknown"),
        ({"availability_zone": "nova:host1", "host": "h", "networks": []}, "2.74", "server.host"),
        ({"block_device_mapping_v2": [{**DISK, "source_type": "volume"}]}, "2.1", "source_type"),
        ({"block_device_mapping_v2": [{**DISK, "uuid": "other"}]}, "2.1", "uuid"),
        ({"nonsense": 1}, "2.1", "server.nonsense"),
        ({"hostname": "-"}, "2.90", "server.hostname"),
    ],
)
def test_refusal_names_the_field(ready, wanted, version, field):
    given = {"networks": []} | wanted if version in LATER else wanted

    assert field in ready.refuse("POST", "/servers", body(ready, **given), 400, version)


@pytest.mark.parametrize(
    "wanted",
    [
        {"adminPass": "x"},
        {"accessIPv4": ""},
        {"OS-DCF:diskConfig": "AUTO"},
        {"config_drive": False},
        {"security_groups": [{"name": "default"}]},
        {"min_count": "1"},
    ],
)
def test_what_does_no_harm_is_taken(ready, wanted):
    ready.post("/servers", body(ready, **wanted))


def test_kernel_is_no_disk(ready):
    assert "aki" in ready.refuse("POST", "/servers", body(ready, "direct-kernel"), 400)


def test_flavor_too_small_for_the_image_is_refused(ready):
    ready.flavor(id="2", name="m1.nano", memory_mb=64)

    message = ready.refuse("POST", "/servers", body(ready, "direct", flavorRef="2"), 400)

    assert "64 MiB" in message
    assert "256" in message


@pytest.mark.parametrize("wanted", [None, [], "x", {}, {"server": None}, {"server": []}])
def test_body_that_is_no_server_is_refused(ready, wanted):
    ready.refuse("POST", "/servers", wanted if wanted is not None else [], 400)


@pytest.mark.parametrize(
    ("name", "host"),
    [("Web 1", "web-1"), ("a_b.c", "a-b.c"), ("日本", "server"), ("x" * 80, "x" * 63)],
)
def test_host_name_is_made_of_the_name(name, host):
    assert host == create.hostname(name)

def test_a_flavor_is_created_from_its_size(api, whimbrel):
    """What is not given is left to the API."""
    flavor = {"id": "f-1", "name": "m1", "vcpus": 2, "ram": 256, "disk": 0}
    api.answer("POST", "/flavors", {"flavor": flavor})

    typed = whimbrel("flavor", "create", "m1", "--vcpus", "2", "--ram", "256", "-f", "json")

    assert 256 == typed.json["memory_mib"]
    assert {"flavor": {"name": "m1", "id": None, "vcpus": 2, "ram": 256, "disk": 0}} == (
        api.of("POST")[0].body
    )


def test_a_network_names_its_bridge(api, whimbrel):
    """The bridge travels under the name that network clients know."""
    network = {"id": "n-1", "name": "tenant", "provider:physical_network": "br-tenant"}
    api.answer("POST", "/networks", {"network": network})

    words = ("--bridge", "br-tenant", "--cidr", "198.51.100.128/25")
    typed = whimbrel("network", "create", "tenant", *words, "-f", "json")

    assert "br-tenant" == typed.json["bridge"]
    assert "198.51.100.128/25" == api.of("POST")[0].body["network"]["cidr"]


def test_images_are_listed(api, whimbrel):
    """The image dialect's rows become a table."""
    image = {"id": "i-1", "name": "guest", "disk_format": "qcow2", "size": 9, "status": "active"}
    api.answer("GET", "/images", {"images": [image]})

    assert "guest qcow2 9\n" == (
        whimbrel("image", "list", "-f", "value", "-c", "Name", "-c", "Format", "-c", "Size").out
    )

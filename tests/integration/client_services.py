"""All services with simulated hosts, for the clients that OpenStack's users have."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest

from common import images
from services import together
from tests import waiting
from tests.integration import clients

# A guest of 64 MiB is moved at once, one of 4000 MiB slowly enough to be caught.
RATE = 100.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Where the services keep their files; the image and the password are there."""
    path: pathlib.Path = tmp_path_factory.mktemp("clients")
    disk = path / "disk.raw"
    disk.write_bytes(b"whimbrel" * 1000)
    images.Directory(str(path / "images")).add(disk, name="cirros")
    hashed = bcrypt.hashpw(clients.PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (path / "htpasswd").write_text(f"admin:{hashed}\n")
    return path


@pytest.fixture(scope="module")
def services(folder) -> Iterator[together.Together]:
    """All services with two hosts, an image, flavors and a network."""
    with together.running(folder, options={"simulated.rate": RATE}) as running:
        for name, ram in (("m1.tiny", 64), ("m1.large", 1600), ("m1.huge", 4000)):
            flavor = {"id": name, "name": name, "ram": ram, "vcpus": 1, "disk": 1}
            clients.send(running, "POST", "/flavors", {"flavor": flavor})
        network = {"name": "tenant", "provider:physical_network": "br-tenant"}
        clients.send(running, "POST", "/networks", {"network": network})
        yield running


@pytest.fixture(scope="module")
def openstack(services, folder) -> clients.Openstack:
    """The command, without authentication."""
    return clients.Openstack(folder, clients.cloud(services.endpoint, "none"))


@pytest.fixture
def server(services) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make servers that run on host1, and delete them at the end."""
    made: list[str] = []

    def make(name: str, flavor: str = "m1.tiny") -> dict[str, Any]:
        image = clients.send(services, "GET", "/images?name=cirros")["images"][0]["id"]
        wanted = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "none"}
        body = {"server": {**wanted, "host": "host1"}}
        made.append(clients.send(services, "POST", "/servers", body)["server"]["id"])
        return clients.status(services, made[-1], "ACTIVE")

    yield make
    for uuid in made:
        clients.idle(services, uuid)
        clients.send(services, "DELETE", f"/servers/{uuid}")
    waiting.until(
        lambda: not clients.send(services, "GET", "/servers")["servers"], "all are deleted"
    )

"""Programs that OpenStack's users have, unmodified."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any
from typing import NamedTuple

import requests
import yaml

from services import together
from tests import waiting

NEWEST = {"OpenStack-API-Version": "compute latest"}
HOST = "OS-EXT-SRV-ATTR:host"
TASK = "OS-EXT-STS:task_state"
PASSWORD = "secret"
OPENSTACK = pathlib.Path(sys.executable).with_name("openstack")


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Openstack:
    """The openstack command, told of one cloud."""

    def __init__(self, folder: pathlib.Path, cloud: dict[str, Any]) -> None:
        self._clouds = folder / "clouds.yaml"
        self._clouds.write_text(yaml.safe_dump({"clouds": {"whimbrel": cloud}}))

    def run(self, *words: str) -> Said:
        """Run a command to its end."""
        environ = {
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(self._clouds),
            "OS_CLOUD": "whimbrel",
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            [OPENSTACK, *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ask(self, *words: str) -> Any:
        """Give what a command shows; its failure is the test's."""
        said = self.run(*words, "-f", "json")
        assert 0 == said.status, said.err
        return json.loads(said.out)

    def tell(self, *words: str) -> None:
        """Run a command that shows nothing; its failure is the test's."""
        said = self.run(*words)
        assert 0 == said.status, said.err

    def refused(self, *words: str) -> str:
        """Give what a command that must fail says."""
        said = self.run(*words)
        assert 0 != said.status, said.out
        return said.err


def send(services: together.Together, method: str, path: str, body: object = None) -> Any:
    """Ask the API itself: quick, where a client is not what is tested."""
    answer = requests.request(
        method, f"{services.endpoint}/v2.1{path}", json=body, headers=NEWEST, timeout=10
    )
    answer.raise_for_status()
    return answer.json() if answer.content else None


def cloud(root: str, auth: str, **more: str) -> dict[str, Any]:
    """Give what clouds.yaml says of a cloud without an identity service."""
    return {
        "auth_type": auth,
        "auth": {"endpoint": f"{root}/v2.1", **more},
        "identity_api_version": "3",
        "identity_endpoint_override": f"{root}/v2.1",
        "image_endpoint_override": f"{root}/image/v2",
        "network_endpoint_override": f"{root}/network/v2.0",
    }


def show(services: together.Together, uuid: str) -> dict[str, Any]:
    """Give a server as the API shows it."""
    shown: dict[str, Any] = send(services, "GET", f"/servers/{uuid}")["server"]
    return shown


def idle(services: together.Together, uuid: str) -> None:
    """Wait until nothing is being done to a server."""
    waiting.until(lambda: show(services, uuid)[TASK] is None, f"{uuid} is idle")


def status(services: together.Together, uuid: str, wanted: str) -> dict[str, Any]:
    """Wait for a server's status, and give the server."""
    idle(services, uuid)
    shown = show(services, uuid)
    assert wanted == shown["status"], shown.get("fault")
    return shown

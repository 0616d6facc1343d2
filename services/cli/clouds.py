"""`whimbrel clouds`: what standard OpenStack clients need to know of this API."""

from __future__ import annotations

import argparse

import yaml

from services.cli import api
from services.cli import command


class Clouds(command.Act):
    """Print a clouds.yaml with which `openstack --os-cloud whimbrel` talks to this API."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print it; nothing is asked of the API."""
        print(yaml.safe_dump(clouds(self.client), sort_keys=False), end="", file=self.app.stdout)


def clouds(client: api.Api) -> api.Row:
    """Give the file's content for the client's endpoint and user.

    Identity points at the compute URL: clients only want a version document
    there, and none of them asks for a token.
    """
    compute = f"{client.endpoint}/v2.1"
    who = {"username": client.username, "password": client.password} if client.username else {}
    cloud = {
        "auth_type": "http_basic" if client.username else "none",
        "auth": {"endpoint": compute, **who},
        "compute_api_version": api.NEWEST,
        "identity_api_version": "3",
        "identity_endpoint_override": compute,
        "image_endpoint_override": f"{client.endpoint}/image/v2",
        "network_endpoint_override": f"{client.endpoint}/network/v2.0",
    }
    return {"clouds": {"whimbrel": cloud}}

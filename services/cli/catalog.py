"""`whimbrel flavor ...`, `network ...` and `image ...`: what servers are made from."""

from __future__ import annotations

import argparse

from services.cli import command
from services.cli import find

FLAVORS: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Name", command.at("name")),
    ("VCPUs", command.at("vcpus")),
    ("Memory MiB", command.at("ram")),
    ("Disk GiB", command.at("disk")),
    ("Properties", lambda flavor: command.Pairs(flavor.get("extra_specs") or {})),
)

NETWORKS: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Name", command.at("name")),
    ("Bridge", command.at("provider:physical_network")),
    ("CIDR", command.at("cidr")),
)

IMAGES: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Name", command.at("name")),
    ("Format", command.at("disk_format")),
    ("Size", command.at("size")),
    ("Status", command.at("status")),
)


class ListFlavors(command.List):
    """List flavors: the sizes of servers."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the flavors."""
        rows = self.client.rows("/flavors/detail", "flavors", is_public="None")
        return command.listed(FLAVORS, rows)


class CreateFlavor(command.Show):
    """Create a flavor."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add its size."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument("--id", help="made up without")
        parser.add_argument("--vcpus", type=int, required=True)
        parser.add_argument("--ram", type=int, required=True, metavar="MIB")
        parser.add_argument("--disk", type=int, default=0, metavar="GIB", help="0: the image's")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the flavor."""
        wanted = {name: getattr(parsed_args, name) for name in ("name", "id", "vcpus", "ram")}
        body = {"flavor": {**wanted, "disk": parsed_args.disk}}
        flavor = self.client.send("POST", "/flavors", body).body["flavor"]
        return command.shown(command.lower(FLAVORS), flavor)


class DeleteFlavor(command.Act):
    """Delete a flavor; servers made from it keep their size."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("flavor", help="name or id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it to be deleted."""
        flavor = find.flavor(self.client, parsed_args.flavor)
        self.client.send("DELETE", f"/flavors/{flavor['id']}")


class ListNetworks(command.List):
    """List networks: the bridges that servers may be connected to."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the networks."""
        return command.listed(NETWORKS, self.client.rows("/networks", "networks"))


class CreateNetwork(command.Show):
    """Register a bridge that every host has as a network."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the bridge and the addresses."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument("--bridge", required=True, help="its name, the same on every host")
        parser.add_argument("--cidr", help="give servers addresses of this, 198.51.100.128/25")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the network."""
        wanted = {
            "name": parsed_args.name,
            "provider:physical_network": parsed_args.bridge,
            "cidr": parsed_args.cidr,
        }
        body = {"network": {name: value for name, value in wanted.items() if value}}
        network = self.client.send("POST", "/networks", body).body["network"]
        return command.shown(command.lower(NETWORKS), network)


class DeleteNetwork(command.Act):
    """Forget a network that no server uses; its bridge stays."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("network", help="name or id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it to be forgotten."""
        network = find.network(self.client, parsed_args.network)
        self.client.send("DELETE", f"/networks/{network['id']}")


class ListImages(command.List):
    """List images: what servers start from."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the images."""
        return command.listed(IMAGES, self.client.rows("/images", "images"))

"""`whimbrel aggregate ...` and `whimbrel zone list`: hosts that belong together."""

from __future__ import annotations

import argparse

from services.cli import api
from services.cli import command
from services.cli import failures
from services.cli import find
from services.cli import servers

ZONE = "availability_zone"


def metadata(aggregate: api.Row) -> command.Pairs:
    """Give an aggregate's metadata without the zone, which has a column of its own."""
    found = aggregate.get("metadata") or {}
    return command.Pairs({name: value for name, value in found.items() if name != ZONE})


LISTED: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Name", command.at("name")),
    ("Zone", command.at(ZONE)),
    ("Hosts", lambda aggregate: ", ".join(aggregate.get("hosts") or [])),
    ("Properties", metadata),
)

SHOWN: tuple[command.Column, ...] = (
    ("id", command.at("id")),
    ("uuid", command.at("uuid")),
    ("name", command.at("name")),
    ("zone", command.at(ZONE)),
    ("hosts", lambda aggregate: command.Lines(aggregate.get("hosts") or [])),
    ("properties", metadata),
    ("created", command.at("created_at")),
    ("updated", command.at("updated_at")),
)


def up(zone: api.Row) -> str:
    """Say how many of a zone's hosts are up and enabled."""
    services = [service for host in zone["hosts"].values() for service in host.values()]
    usable = [service for service in services if service["available"] and service["active"]]
    return f"{len(usable)}/{len(services)}"


ZONES: tuple[command.Column, ...] = (
    ("Zone", command.at("zoneName")),
    ("Available", lambda zone: "yes" if zone["zoneState"]["available"] else "no"),
    ("Up", up),
    ("Hosts", lambda zone: ", ".join(sorted(zone["hosts"]))),
)


class ListAggregates(command.List):
    """List aggregates: which hosts belong together, and what is said of them."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the aggregates."""
        return command.listed(LISTED, self.client.rows("/os-aggregates", "aggregates"))


class Aggregate(command.Show):
    """A command about one aggregate that shows what it is then."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", help="name or number")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Do it, and show the aggregate."""
        number = find.aggregate(self.client, parsed_args.aggregate)["id"]
        self._change(number, parsed_args)
        found = self.client.get(f"/os-aggregates/{number}")["aggregate"]
        return command.shown(SHOWN, found)

    def _change(self, number: int, chosen: argparse.Namespace) -> None:
        """Change nothing."""

    def _act(self, number: int, action: str, body: api.Row) -> None:
        self.client.send("POST", f"/os-aggregates/{number}/action", {action: body})


class ShowAggregate(Aggregate):
    """Show an aggregate."""


class CreateAggregate(command.Show):
    """Make an aggregate; add hosts to it afterwards."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what is said of it."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument("--zone", help="its hosts are in this availability zone")
        parser.add_argument(
            "--property", action="append", default=[], metavar="NAME=VALUE", help="repeatable"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the aggregate, then what is said of it."""
        said = servers.pairs(parsed_args.property)
        wanted = {"name": parsed_args.name, ZONE: parsed_args.zone}
        made = self.client.send("POST", "/os-aggregates", {"aggregate": wanted}).body["aggregate"]
        path = f"/os-aggregates/{made['id']}"
        if said:
            self.client.send("POST", f"{path}/action", {"set_metadata": {"metadata": said}})
        return command.shown(SHOWN, self.client.get(path)["aggregate"])


class SetAggregate(Aggregate):
    """Change an aggregate's name, zone or properties."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what to change."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--name", help="another name")
        zone = parser.add_mutually_exclusive_group()
        zone.add_argument("--zone", help="its hosts are in this availability zone")
        zone.add_argument("--no-zone", action="store_true", help="it makes no zone")
        parser.add_argument(
            "--property", action="append", default=[], metavar="NAME=VALUE", help="repeatable"
        )
        parser.add_argument(
            "--unset", action="append", default=[], metavar="NAME", help="repeatable"
        )
        return parser

    def _change(self, number: int, chosen: argparse.Namespace) -> None:
        said: dict[str, str | None] = {**servers.pairs(chosen.property)}
        said |= dict.fromkeys(chosen.unset)
        wanted = {"name": chosen.name, ZONE: chosen.zone}
        changes = {name: value for name, value in wanted.items() if value}
        if chosen.no_zone:
            changes[ZONE] = None
        if not (said or changes):
            raise failures.Failure("nothing to change; name an option, see --help")
        if changes:
            self.client.send("PUT", f"/os-aggregates/{number}", {"aggregate": changes})
        if said:
            self._act(number, "set_metadata", {"metadata": said})


class AddHost(Aggregate):
    """Put a host into an aggregate."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which host."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host")
        return parser

    def _change(self, number: int, chosen: argparse.Namespace) -> None:
        self._act(number, "add_host", {"host": chosen.host})


class RemoveHost(AddHost):
    """Take a host out of an aggregate."""

    def _change(self, number: int, chosen: argparse.Namespace) -> None:
        self._act(number, "remove_host", {"host": chosen.host})


class DeleteAggregate(command.Act):
    """Delete an aggregate that has no host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("aggregate", help="name or number")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it to be deleted."""
        found = find.aggregate(self.client, parsed_args.aggregate)
        self.client.send("DELETE", f"/os-aggregates/{found['id']}")


class ListZones(command.List):
    """List availability zones: which hosts each has, and how many can be used."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the zones of hosts; Nova's internal one is no place for servers."""
        rows = self.client.get("/os-availability-zone/detail")["availabilityZoneInfo"]
        return command.listed(ZONES, [row for row in rows if row["zoneName"] != "internal"])

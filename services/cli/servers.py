"""`whimbrel server ...`: all but moving."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

from services.cli import api
from services.cli import command
from services.cli import deciding
from services.cli import explain
from services.cli import failures
from services.cli import find
from services.cli import waiting

NOT_FOUND = 404
HOST = "OS-EXT-SRV-ATTR:host"
TASK = "OS-EXT-STS:task_state"
# Hints that name servers.
OF_SERVERS = frozenset({"same_host", "different_host"})


class Action(NamedTuple):
    """An action on a server: its body, and the status that shows it done."""

    body: api.Row
    then: str


ACTIONS = {
    "stop": Action({"os-stop": None}, "SHUTOFF"),
    "start": Action({"os-start": None}, "ACTIVE"),
    "reboot": Action({"reboot": {"type": "SOFT"}}, "ACTIVE"),
    "reboot --hard": Action({"reboot": {"type": "HARD"}}, "ACTIVE"),
    "pause": Action({"pause": None}, "PAUSED"),
    "unpause": Action({"unpause": None}, "ACTIVE"),
}


def addresses(server: api.Row) -> list[str]:
    """Give `network=address` for every network card of a server."""
    return [
        f"{network}={card['addr']}"
        for network, cards in sorted(server.get("addresses", {}).items())
        for card in cards
    ]


def flavor(server: api.Row) -> str:
    """Give the name of the server's flavor."""
    return str(server["flavor"].get("original_name") or server["flavor"].get("id"))


def image(server: api.Row) -> str:
    """Give the id of the server's image, or nothing."""
    return str(server["image"]["id"]) if server.get("image") else ""


LISTED: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Name", command.at("name")),
    ("Status", command.at("status")),
    ("Task", command.at(TASK)),
    ("Host", command.at(HOST)),
    ("Networks", lambda server: ", ".join(addresses(server))),
    ("Flavor", flavor),
)

SHOWN: tuple[command.Column, ...] = (
    ("id", command.at("id")),
    ("name", command.at("name")),
    ("status", command.at("status")),
    ("task_state", command.at(TASK)),
    ("vm_state", command.at("OS-EXT-STS:vm_state")),
    ("power_state", command.at("OS-EXT-STS:power_state")),
    ("host", command.at(HOST)),
    ("availability_zone", command.at("OS-EXT-AZ:availability_zone")),
    ("pinned_zone", command.at("pinned_availability_zone")),
    ("server_groups", lambda server: command.Lines(server.get("server_groups") or [])),
    ("flavor", flavor),
    ("vcpus", command.at("flavor", "vcpus")),
    ("memory_mb", command.at("flavor", "ram")),
    ("disk_gb", command.at("flavor", "disk")),
    ("image", image),
    ("addresses", lambda server: command.Lines(addresses(server))),
    ("properties", lambda server: command.Pairs(server.get("metadata", {}))),
    ("fault", command.at("fault", "message")),
    ("created", command.at("created")),
    ("updated", command.at("updated")),
    ("launched", command.at("OS-SRV-USG:launched_at")),
)


VERIFY = "VERIFY_RESIZE"
# What is shown besides of a server that waits for its user.
VERIFIED: tuple[command.Column, ...] = (
    ("confirms_itself_at", command.at("whimbrel:confirms_at")),
    ("decide", lambda server: command.Lines(server["decide"])),
)


class ListServers(command.List):
    """List servers: where each runs, and what is being done to it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the filters."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--host", help="only those on this host")
        parser.add_argument("--status", help="only those of this status, for example ACTIVE")
        parser.add_argument("--name", help="only those whose name matches this expression")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the servers, page by page."""
        rows = self.client.rows(
            "/servers/detail",
            "servers",
            host=parsed_args.host,
            status=parsed_args.status,
            name=parsed_args.name,
        )
        return command.listed(LISTED, rows)


class ShowServer(command.Show):
    """Show a server."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Ask for the server, and while it waits for its user for what can be decided."""
        server = find.server(self.client, parsed_args.server)
        if server["status"] != VERIFY:
            return command.shown(SHOWN, server)
        return command.shown(SHOWN + VERIFIED, deciding.asked(self.client, server))


class CreateServer(command.Show):
    """Create a server and start it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what it is made of."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument("--flavor", required=True, help="name or id")
        parser.add_argument("--image", required=True, help="name or id")
        networks = parser.add_mutually_exclusive_group()
        networks.add_argument(
            "--network", action="append", default=[], help="name or id; repeat for more cards"
        )
        networks.add_argument("--no-network", action="store_true", help="no card; the default")
        parser.add_argument(
            "--zone", "--availability-zone", help="only on hosts of this availability zone"
        )
        parser.add_argument("--group", help="a member of this server group, name or id")
        parser.add_argument(
            "--hint",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="same_host=SERVER, different_host=SERVER, or for filters of your own; repeatable",
        )
        parser.add_argument("--host", help="only on this host")
        parser.add_argument(
            "--property", action="append", default=[], metavar="NAME=VALUE", help="repeatable"
        )
        parser.add_argument("--wait", action="store_true", help="until it runs, or cannot")
        parser.add_argument(
            "--dry-run", action="store_true", help="only rank the hosts that it could go to"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the server; with --wait, see it run."""
        body = {"server": self._order(parsed_args), **self._hints(parsed_args)}
        if parsed_args.dry_run:
            return explain.ranking(self.client.send("POST", "/whimbrel/ranking", body).body)
        uuid = self.client.send("POST", "/servers", body).body["server"]["id"]
        if parsed_args.wait:
            settled(self.client, uuid, "ACTIVE")
        return command.shown(SHOWN, self.client.get(f"/servers/{uuid}")["server"])

    def _order(self, chosen: argparse.Namespace) -> api.Row:
        networks = [{"uuid": find.network(self.client, word)["id"]} for word in chosen.network]
        order = {
            "name": chosen.name,
            "flavorRef": find.flavor(self.client, chosen.flavor)["id"],
            "imageRef": find.image(self.client, chosen.image)["id"],
            "networks": networks or "none",
            "availability_zone": chosen.zone,
            "host": chosen.host,
            "metadata": pairs(chosen.property),
        }
        return {name: value for name, value in order.items() if value}

    def _hints(self, chosen: argparse.Namespace) -> api.Row:
        """Give what the scheduler is told, with the ids of what was named."""
        hints: dict[str, list[str]] = {}
        for word in chosen.hint:
            for name, value in pairs([word]).items():
                hints.setdefault(name, []).append(self._hint(name, value))
        told: api.Row = dict(hints)
        if chosen.group:
            told["group"] = find.group(self.client, chosen.group)["id"]
        return {"os:scheduler_hints": told} if told else {}

    def _hint(self, name: str, value: str) -> str:
        return str(find.server(self.client, value)["id"]) if name in OF_SERVERS else value


class DeleteServers(command.Act):
    """Delete servers, their disks too."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which ones."""
        return _several(super().get_parser(prog_name), "until they are gone")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order each to be deleted; with --wait, see each gone."""
        carry_out(self.client, parsed_args, self._delete, self._gone)

    def _delete(self, server: api.Row) -> None:
        self.client.send("DELETE", f"/servers/{server['id']}")

    def _gone(self, server: api.Row) -> None:
        waiting.until(lambda: _gone(self.client, server), f"{server['name']} gone")


class Order(command.Act):
    """An order to servers that stay on their hosts."""

    NAME = ""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which ones."""
        return _several(super().get_parser(prog_name), "until it is done")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order each; with --wait, see each done."""
        action = ACTIONS[self._action(parsed_args)]
        carry_out(
            self.client,
            parsed_args,
            lambda server: _act(self.client, server, action),
            lambda server: settled(self.client, server["id"], action.then),
        )

    def _action(self, parsed_args: argparse.Namespace) -> str:
        return self.NAME


class StopServers(Order):
    """Shut servers down, cleanly if they listen."""

    NAME = "stop"


class StartServers(Order):
    """Start servers that were stopped."""

    NAME = "start"


class PauseServers(Order):
    """Hold the processors of servers; their memory stays."""

    NAME = "pause"


class UnpauseServers(Order):
    """Let the processors of paused servers go on."""

    NAME = "unpause"


class RebootServers(Order):
    """Reboot servers: ask them to, or with --hard pull the plug."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add how."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--hard", action="store_true", help="power off and on")
        return parser

    def _action(self, parsed_args: argparse.Namespace) -> str:
        return "reboot --hard" if parsed_args.hard else "reboot"


def settled(client: api.Api, uuid: str, wanted: str) -> api.Row:
    """Give the server once nothing is being done to it; fail unless it is as wanted."""
    server = waiting.until(lambda: _idle(client, uuid), f"server {uuid} is {wanted}")
    if server["status"] != wanted:
        raise failures.Failure(
            f"{server['name']} is {server['status']}, not {wanted}: {_fault(server)}"
        )
    return server


def carry_out(
    client: api.Api,
    chosen: argparse.Namespace,
    order: Callable[[api.Row], object],
    settle: Callable[[api.Row], object],
) -> None:
    """Order every server named, wait if asked to, and fail with all that was refused."""
    refused: list[str] = []
    servers: list[api.Row] = []
    for word in chosen.server:
        with _collecting(refused):
            server = find.server(client, word)
            order(server)
            servers.append(server)
    for server in servers if chosen.wait else ():
        with _collecting(refused):
            settle(server)
    if refused:
        raise failures.Failure("\n".join(refused))


def pairs(words: list[str]) -> dict[str, str]:
    """Make a mapping of NAME=VALUE words."""
    for word in words:
        if "=" not in word:
            raise failures.Failure(f"{word!r} is not NAME=VALUE")
    return dict(word.split("=", 1) for word in words)


def _several(parser: argparse.ArgumentParser, until: str) -> argparse.ArgumentParser:
    parser.add_argument("server", nargs="+", help="name or id")
    parser.add_argument("--wait", action="store_true", help=until)
    return parser


@contextlib.contextmanager
def _collecting(refused: list[str]) -> Iterator[None]:
    try:
        yield
    except failures.Unreachable:
        raise
    except failures.Failure as failure:
        refused.append(str(failure))


def _act(client: api.Api, server: api.Row, action: Action) -> None:
    client.send("POST", f"/servers/{server['id']}/action", action.body)


def _idle(client: api.Api, uuid: str) -> api.Row | None:
    server: api.Row = client.get(f"/servers/{uuid}")["server"]
    return server if server[TASK] is None and server["status"] != "BUILD" else None


def _gone(client: api.Api, server: api.Row) -> bool | None:
    try:
        found = client.get(f"/servers/{server['id']}")["server"]
    except failures.Refused as refused:
        if refused.status == NOT_FOUND:
            return True
        raise
    if found["status"] == "ERROR" and found[TASK] is None:
        raise failures.Failure(f"{server['name']} could not be deleted: {_fault(found)}")
    return True if found["status"] == "DELETED" else None


def _fault(server: api.Row) -> str:
    return str(server.get("fault", {}).get("message", "no reason is recorded"))

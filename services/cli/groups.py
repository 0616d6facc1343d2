"""`whimbrel server-group ...`: servers that belong together or apart."""

from __future__ import annotations

import argparse

from services.cli import command
from services.cli import find

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")

LISTED: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Name", command.at("name")),
    ("Policy", command.at("policy")),
    ("Members", lambda group: len(group.get("members") or [])),
)

SHOWN: tuple[command.Column, ...] = (
    ("id", command.at("id")),
    ("name", command.at("name")),
    ("policy", command.at("policy")),
    ("rules", lambda group: command.Pairs(group.get("rules") or {})),
    ("members", lambda group: command.Lines(group.get("members") or [])),
    ("project", command.at("project_id")),
)


class ListGroups(command.List):
    """List server groups, with the number of their servers."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the groups."""
        return command.listed(LISTED, self.client.rows("/os-server-groups", "server_groups"))


class ShowGroup(command.Show):
    """Show a server group with its servers."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("group", help="name or id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Ask for the group."""
        return command.shown(SHOWN, find.group(self.client, parsed_args.group))


class CreateGroup(command.Show):
    """Make a server group; servers join it when they are created, and stay in it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the policy."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        parser.add_argument(
            "--policy",
            required=True,
            choices=POLICIES,
            help="whether its servers share a host; the soft ones are wishes only",
        )
        parser.add_argument(
            "--max-per-host",
            type=int,
            metavar="N",
            help="of anti-affinity: how many may share a host, 1 unless told",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the group."""
        most = parsed_args.max_per_host
        rules = {} if most is None else {"rules": {"max_server_per_host": most}}
        wanted = {"name": parsed_args.name, "policy": parsed_args.policy, **rules}
        answer = self.client.send("POST", "/os-server-groups", {"server_group": wanted})
        return command.shown(SHOWN, answer.body["server_group"])


class DeleteGroup(command.Act):
    """Delete a server group; its servers stay, and may go anywhere."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("group", help="name or id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it to be deleted."""
        group = find.group(self.client, parsed_args.group)
        self.client.send("DELETE", f"/os-server-groups/{group['id']}")

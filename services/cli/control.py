"""What is done to a move that goes on, and to the limits of all: abort, force, set."""

from __future__ import annotations

import argparse

from services.cli import api
from services.cli import command
from services.cli import failures
from services.cli import find
from services.cli import policies

# Option of the command: the limit's name in the API, and what is counted.
LIMITS = {
    "outbound": ("max_outbound", "live migrations that leave a host at once"),
    "inbound": ("max_inbound", "live migrations that enter a host at once"),
    "copies_outbound": (
        "max_copies_outbound",
        "cold migrations and resizes that are copied from a host at once",
    ),
    "copies_inbound": (
        "max_copies_inbound",
        "cold migrations and resizes that are copied to a host at once",
    ),
}
LIMITED: tuple[command.Column, ...] = tuple(
    (option, command.at("limits", name)) for option, (name, _) in LIMITS.items()
)


RESOLVE = "whimbrel:resolve"
# The numbers of Nova, in which hypervisors tell how a guest stands.
POWER = {0: "half of it", 1: "running", 3: "paused", 4: "shut off", 6: "crashed"}


def seen(answer: api.Row) -> command.Lines:
    """Say what each host has of a guest."""
    return command.Lines(
        [
            f"{one['host']}: {POWER.get(one['power_state'], 'nothing of it')}"
            if one["asked"]
            else f"{one['host']}: not asked, it is forced down"
            for one in answer["resolution"]["seen"]
        ]
    )


RESOLVED: tuple[command.Column, ...] = (
    ("migration", command.at("resolution", "migration_uuid")),
    ("outcome", command.at("resolution", "outcome")),
    ("host", command.at("resolution", "host")),
    ("seen", seen),
    ("to_do", lambda answer: command.Lines(answer["resolution"]["notes"])),
)


class AbortMove(command.Act):
    """Abort a move that waits or is copied: live, cold or resize; the server stays where it is."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it to be aborted."""
        self.client.send("DELETE", find.going_on(self.client, parsed_args.migration))


class ForceMove(command.Act):
    """Make a running live migration end: by post-copy if its policy allows it, else by a pause."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it to be forced."""
        path = find.going_on(self.client, parsed_args.migration)
        self.client.send("POST", f"{path}/action", {"force_complete": None})


class SetMove(command.Show):
    """Change the policy of a live migration that goes on, and show all of it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one and what."""
        parser = _which(super().get_parser(prog_name))
        parser.add_argument(
            "--downtime", metavar="MS", help="let the guest stand still for so many milliseconds"
        )
        parser.add_argument(
            "--bandwidth", metavar="MIB", help="copy at most so many MiB per second; 0: no limit"
        )
        policies.add(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the change."""
        changes = policies.given(
            parsed_args.fields,
            downtime_ms=parsed_args.downtime,
            bandwidth=parsed_args.bandwidth,
        )
        if not changes:
            raise failures.Failure("say what to change: --downtime, --bandwidth or --set")
        path = find.going_on(self.client, parsed_args.migration)
        answer = self.client.send("POST", f"{path}/action", {policies.KEY: changes})
        policy = policies.plain(answer.body["policy"])
        return list(policy), list(policy.values())


class ResolveMove(command.Show):
    """Find out where a server's guest is whose move ended in error, or lost its source."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add whose move, and which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        parser.add_argument(
            "migration",
            nargs="?",
            help="id or number; without, the one that goes on, or the newest that ended in error",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Have both hosts asked; a refusal says what each of them has."""
        server = find.server(self.client, parsed_args.server)
        key = parsed_args.migration or self._newest(server)
        path = f"/servers/{server['id']}/migrations/{key}/action"
        return command.shown(RESOLVED, self.client.send("POST", path, {RESOLVE: None}).body)

    def _newest(self, server: api.Row) -> str:
        going = self.client.rows(f"/servers/{server['id']}/migrations", "migrations")
        rows = going or self.client.rows(
            "/os-migrations", "migrations", instance_uuid=server["id"], status="error"
        )
        if not rows:
            raise failures.Missing(f"no migration of {server['name']} goes on or ended in error")
        return str(rows[0]["uuid"])


class ShowLimits(command.Show):
    """Show how many moves, and copies of cold ones, may leave and enter a host at once."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Ask for the limits."""
        del parsed_args
        return command.shown(LIMITED, self.client.get("/whimbrel/limits"))


class SetLimits(command.Show):
    """Change how many moves, and copies of cold ones, leave and enter a host, from now on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the limits."""
        parser = super().get_parser(prog_name)
        for option, (_, what) in LIMITS.items():
            flag = f"--{option.replace('_', '-')}"
            parser.add_argument(flag, type=int, metavar="N", help=what)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Set what is given; the others stay."""
        limits: api.Row = {
            name: getattr(parsed_args, option)
            for option, (name, _) in LIMITS.items()
            if getattr(parsed_args, option) is not None
        }
        if not limits:
            flags = ", ".join(f"--{option.replace('_', '-')}" for option in LIMITS)
            raise failures.Failure(f"say what to change: {flags}")
        answer = self.client.send("PUT", "/whimbrel/limits", {"limits": limits})
        return command.shown(LIMITED, answer.body)


def _which(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("migration", help="id or number, or the server that moves: its name or id")
    return parser

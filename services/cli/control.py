"""What is done to a move that goes on, and to the limits of all: abort, force, set."""

from __future__ import annotations

import argparse

from services.cli import api
from services.cli import command
from services.cli import failures
from services.cli import find
from services.cli import policies

LIMITS: tuple[command.Column, ...] = (
    ("outbound", command.at("limits", "max_outbound")),
    ("inbound", command.at("limits", "max_inbound")),
)


class AbortMove(command.Act):
    """Abort a live migration that waits or runs; the server stays where it is."""

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


class ShowLimits(command.Show):
    """Show how many live migrations may leave and enter a host at once."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Ask for both limits."""
        del parsed_args
        return command.shown(LIMITS, self.client.get("/whimbrel/limits"))


class SetLimits(command.Show):
    """Change how many live migrations may leave and enter a host at once, from now on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the limits."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--outbound", type=int, metavar="N", help="that leave a host at once")
        parser.add_argument("--inbound", type=int, metavar="N", help="that enter a host at once")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Set what is given; the other stays."""
        wanted = {"max_outbound": parsed_args.outbound, "max_inbound": parsed_args.inbound}
        limits: api.Row = {name: value for name, value in wanted.items() if value is not None}
        if not limits:
            raise failures.Failure("say what to change: --outbound or --inbound")
        answer = self.client.send("PUT", "/whimbrel/limits", {"limits": limits})
        return command.shown(LIMITS, answer.body)


def _which(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("migration", help="id or number, or the server that moves: its name or id")
    return parser

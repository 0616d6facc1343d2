"""`whimbrel server check-migrate`: what speaks for and against every host, and nothing moved."""

from __future__ import annotations

import argparse

from cliff import columns

from services.cli import api
from services.cli import command
from services.cli import failures
from services.cli import find
from services.cli import moves
from services.cli import policies

FAIL = "fail"
# Worst last: how the last line of the table sums a host up.
VERDICTS = ("pass", "warn", FAIL)
ABSENT = "-"
TOTAL = "=> host"


class Verdict(columns.FormattableColumn[api.Row]):
    """A cell: one word for people, the reason too for programs."""

    def human_readable(self) -> str:
        """Give the verdict, or a dash where nobody could look."""
        return str(self._value.get("verdict", ABSENT))


class CheckMigrate(command.List):
    """Check on every host whether a server could be moved there; 0 only if one passes."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what, where and how."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        parser.add_argument("--host", help="only this host; all but the server's own without")
        moves.add_zone(parser)
        moves.add_disks(parser)
        parser.add_argument("--policy", metavar="PRESET", help="the policy that it would have")
        policies.add(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print the table, then why it is not all pass."""
        server = find.server(self.client, parsed_args.server)
        self._rows: list[api.Row] = self.client.get(
            f"/servers/{server['id']}/whimbrel-check-migrate",
            host=parsed_args.host,
            zone=parsed_args.zone,
            block_migration=str(parsed_args.block).lower(),
            disk_over_commit=str(parsed_args.disk_over_commit).lower(),
            policy=parsed_args.policy,
            **{f"policy.{name}": value for name, value in parsed_args.fields},
        )["checks"]
        status = int(super().run(parsed_args) or 0)
        self.app.stdout.flush()
        for row in self._rows:
            if row["verdict"] != VERDICTS[0]:
                self.note(f"{row['host']}: {row['name']}: {row['verdict']}: {row['reason']}")
        if not any(verdict != FAIL for verdict in worst(self._rows).values()):
            raise failures.Failure(f"{server['name']} cannot be moved to any of these hosts")
        return status

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Give the table: a row for each check, a column for each host."""
        del parsed_args
        return table(self._rows)


def table(rows: list[api.Row]) -> command.Listed:
    """Turn the answers into checks by hosts, with what is said of each host in all."""
    hosts = list(worst(rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    found = {(row["name"], row["host"]): row for row in rows}
    lines: list[list[object]] = [
        [name, *(Verdict(_cell(found.get((name, host), {}))) for host in hosts)] for name in names
    ]
    total = [Verdict({"verdict": verdict}) for verdict in worst(rows).values()]
    return ["Check", *hosts], [*lines, [TOTAL, *total]]


def worst(rows: list[api.Row]) -> dict[str, str]:
    """Give the worst verdict of each host, in the order of the answers."""
    found: dict[str, str] = {}
    for row in rows:
        before = found.get(row["host"], VERDICTS[0])
        found[row["host"]] = max(before, row["verdict"], key=VERDICTS.index)
    return found


def _cell(row: api.Row) -> api.Row:
    return {name: row[name] for name in ("verdict", "reason") if name in row}

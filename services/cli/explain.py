"""`whimbrel server explain` and --dry-run: why a server is where it is, or would be."""

from __future__ import annotations

import argparse

from services.cli import api
from services.cli import command
from services.cli import failures
from services.cli import find

HEAD = ("Host", "Filter", "Reason")


class ExplainServer(command.List):
    """Show who refused which host, and with which numbers, when a server was last placed."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what is asked about."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        parser.add_argument("migration", nargs="?", help="id or number; its last one without")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Give a row for each refusal."""
        server = find.server(self.client, parsed_args.server)
        about, reasons = self._reasons(server, parsed_args.migration)
        if not reasons:
            raise failures.Failure(f"no host was refused to {server['name']} {about}")
        self.note(f"{server['name']}, {about}:")
        return HEAD, [
            [host, one["filter"], one["reason"]]
            for host, refusals in sorted(reasons.items())
            for one in refusals
        ]

    def _reasons(self, server: api.Row, migration: str | None) -> tuple[str, api.Row]:
        if migration is not None:
            return self._of_move(self._own(server, migration))
        fault = server.get("fault") or {}
        if fault.get("reasons"):
            return f"which is {server['status']}", fault["reasons"]
        rows = self.client.rows("/os-migrations", "migrations", instance_uuid=server["id"])
        if not rows:
            return "when it was built", {}
        return self._of_move(find.migration(self.client, rows[0]["uuid"]))

    def _own(self, server: api.Row, migration: str) -> api.Row:
        move = find.migration(self.client, migration)
        if move["instance_uuid"] != server["id"]:
            raise failures.Missing(
                f"{server['name']} has no migration {migration!r}; "
                f"see: whimbrel migration list --server {server['id']}"
            )
        return move

    def _of_move(self, move: api.Row) -> tuple[str, api.Row]:
        return f"migration {move['uuid']}, {move['status']}", move.get("reasons") or {}


def ranking(answer: api.Row) -> command.Shown:
    """Give a line for each host, best first: its points by weigher, or who refuses it."""
    rows: list[api.Row] = answer["ranking"]
    return [row["host"] for row in rows], [_line(row) for row in rows]


def _line(row: api.Row) -> str:
    if row["score"] is None:
        return f"refused: {api.why_not(row['refusals'])}"
    parts = ", ".join(f"{name} {points:.3f}" for name, points in row["scores"].items() if points)
    return f"{row['score']:.3f} ({parts})" if parts else f"{row['score']:.3f}"

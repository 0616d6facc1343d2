"""`whimbrel server live-migrate` and `whimbrel migration ...`."""

from __future__ import annotations

import argparse
from datetime import datetime

from cliff import columns

from services.cli import api
from services.cli import command
from services.cli import explain
from services.cli import failures
from services.cli import find
from services.cli import policies
from services.cli import servers
from services.cli import watch

# Statuses in which a watched move has ended as it was to.
GOOD = frozenset({"completed", "finished", "confirmed", "reverted"})
FINISHED = frozenset({"finished"})
WHICH = "id or number, or a server for its newest: name or id"
# Where the API takes what is said of zones, beside Nova's own keys.
ZONE = "whimbrel:zone"
# Below 2.34 the checks are made, and their refusals told, before the answer.
CHECKED_FIRST = "2.30"
CHECKED_LATER = api.NEWEST
# The last that knows disk_over_commit; its other fields are all required.
OVER_COMMIT = "2.24"

LISTED: tuple[command.Column, ...] = (
    ("ID", command.at("uuid")),
    ("Server", command.at("instance_uuid")),
    ("Type", command.at("migration_type")),
    ("Status", command.at("status")),
    ("From", command.at("source_compute")),
    ("To", command.at("dest_compute")),
    ("Created", command.at("created_at")),
    ("Updated", command.at("updated_at")),
)


def milliseconds(began: str | None, ended: str | None) -> int | None:
    """Give the time between two of the API's times, or None while one is missing."""
    if not began or not ended:
        return None
    return round((_time(ended) - _time(began)).total_seconds() * 1000)


def journal(move: api.Row) -> list[str]:
    """Give one line for each step of a move: what, where, how long, how it ended."""
    lines = []
    for step in move.get("steps", []):
        took = milliseconds(step["started_at"], step.get("finished_at"))
        time = "" if took is None else f" {took} ms"
        error = f": {step['error']}" if step.get("error") else ""
        lines.append(f"{step['step']} on {step['host']} {step['state']}{time}{error}")
    return lines


class Journal(columns.FormattableColumn[list[api.Row]]):
    """The journal: a line a step for people, the rows for programs."""

    def human_readable(self) -> str:
        """Give the lines; what was decided has its own."""
        steps = [step for step in self._value if not step["step"].startswith("decide_")]
        return "\n".join(journal({"steps": steps}))


class Decisions(columns.FormattableColumn[list[api.Row]]):
    """What was decided about a running job: when and why for people, all for programs."""

    def human_readable(self) -> str:
        """Give a line for each."""
        return "\n".join(
            f"{made['at'][11:19]} {made['action']}: {made['reason']}" for made in self._value
        )


class Phases(columns.FormattableColumn[dict[str, int]]):
    """How long each phase took, in the order in which they came."""

    def human_readable(self) -> str:
        """Give a line for each."""
        return "\n".join(f"{name} {took} ms" for name, took in self._value.items())


class Copies(columns.FormattableColumn[list[api.Row]]):
    """How much of each disk is copied: a line a disk for people, the bytes for programs."""

    def human_readable(self) -> str:
        """Give the lines."""
        return "\n".join(
            f"{disk['target']} {watch.copied(disk) or 'not begun'}" for disk in self._value
        )


class Refusals(columns.FormattableColumn[dict[str, list[api.Row]]]):
    """Who refused which host: a line a host for people, all for programs."""

    def human_readable(self) -> str:
        """Give the lines."""
        return "\n".join(f"{host}: {api.why_not(why)}" for host, why in sorted(self._value.items()))


def part(kind: str) -> command.Column:
    """Make the column of what is copied of memory or disk."""
    return kind, lambda move: watch.part(kind, move.get("progress") or {})


SHOWN: tuple[command.Column, ...] = (
    ("id", command.at("uuid")),
    ("number", command.at("id")),
    ("server", command.at("instance_uuid")),
    ("type", command.at("migration_type")),
    ("status", command.at("status")),
    ("from", watch.source),
    ("to", watch.destination),
    ("queue_position", command.at("queue_position")),
    ("requested_host", command.at("requested_host")),
    ("block_migration", command.at("block_migration")),
    ("percent", command.at("progress", "percent")),
    part("memory"),
    part("disk"),
    ("disks", lambda move: Copies((move.get("progress") or {}).get("disks") or [])),
    ("rate_bytes", command.at("progress", "rate")),
    ("dirty_rate_bytes", command.at("progress", "dirty_rate")),
    ("iteration", command.at("progress", "iteration")),
    ("eta_ms", command.at("progress", "eta_ms")),
    ("downtime_ms", command.at("downtime_ms")),
    ("job_ms", command.at("job_ms")),
    ("copied_bytes", command.at("cold", "copied_bytes")),
    ("copied_while_running_bytes", command.at("cold", "copied_running")),
    ("off_ms", command.at("cold", "off_ms")),
    ("confirms_itself_at", command.at("confirm_at")),
    ("error_code", command.at("error_code")),
    ("error_message", command.at("error_message")),
    ("failed_step", command.at("failed_step")),
    ("failed_host", command.at("failed_host")),
    ("reasons", lambda move: Refusals(move.get("reasons") or {})),
    ("policy", lambda move: command.Pairs(policies.plain(move.get("policy")))),
    ("phases", lambda move: Phases(move.get("durations_ms") or {})),
    ("decisions", lambda move: Decisions(move.get("decisions") or [])),
    ("steps", lambda move: Journal(move.get("steps") or [])),
    ("created", command.at("created_at")),
    ("updated", command.at("updated_at")),
    ("finished", command.at("finished_at")),
)

ENDED: tuple[command.Column, ...] = (
    ("id", command.at("uuid")),
    ("server", command.at("instance_uuid")),
    ("status", command.at("status")),
    ("from", watch.source),
    ("to", watch.destination),
    ("downtime_ms", command.at("downtime_ms")),
    ("job_ms", command.at("job_ms")),
)


class LiveMigrate(command.Show):
    """Move a running server to another host; its memory goes along."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what, where and how."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        parser.add_argument("--host", help="to this host; the scheduler chooses without")
        add_zone(parser)
        add_disks(parser)
        parser.add_argument(
            "--microversion-free",
            action="store_true",
            help="ask as the oldest clients do; needs one of the two above",
        )
        parser.add_argument("--policy", metavar="PRESET", help="the policy to begin with")
        policies.add(parser)
        parser.add_argument(
            "--wait", action="store_true", help="watch it, and fail unless it arrives"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only rank the hosts that it could go to"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the move; with --wait, see it arrive."""
        server = find.server(self.client, parsed_args.server)
        if parsed_args.dry_run:
            return explain.ranking(self._rank(server, parsed_args))
        uuid = self._order(server, parsed_args)
        if not parsed_args.wait:
            self.note(f"watch it with: whimbrel migration watch {uuid}")
            return command.shown(ENDED, find.migration(self.client, uuid))
        move = watch.follow(self.client, uuid, self.app.stderr)
        arrived(self.client, server, move, parsed_args.host)
        return command.shown(ENDED, move)

    def _rank(self, server: api.Row, chosen: argparse.Namespace) -> api.Row:
        return self.client.get(
            f"/servers/{server['id']}/whimbrel-ranking",
            host=chosen.host,
            zone=chosen.zone,
            block_migration=str(chosen.block).lower(),
            disk_over_commit=str(chosen.disk_over_commit).lower(),
        )

    def _order(self, server: api.Row, chosen: argparse.Namespace) -> str:
        body, version = order(chosen)
        path = f"/servers/{server['id']}/action"
        answer = self.client.send("POST", path, {"os-migrateLive": body}, version=version)
        return begun(answer) or find.newest(self.client, server)


def add_zone(parser: argparse.ArgumentParser) -> None:
    """Add whether the server may leave its zone."""
    parser.add_argument(
        "--zone", help="into this availability zone, or any; it keeps to its own without"
    )


def add_disks(parser: argparse.ArgumentParser) -> None:
    """Add how disks are treated: copied or shared, and how room for them is judged."""
    disks = parser.add_mutually_exclusive_group()
    disks.add_argument(
        "--block-migration",
        dest="block",
        action="store_const",
        const=True,
        default="auto",
        help="copy the disks; without, the hosts find out whether they share them",
    )
    disks.add_argument(
        "--shared-migration",
        dest="block",
        action="store_const",
        const=False,
        help="both hosts see the same disks",
    )
    parser.add_argument(
        "--disk-over-commit",
        action="store_true",
        help="judge the destination's room by what the disks use now, not by their full size",
    )


def order(chosen: argparse.Namespace) -> tuple[api.Row, str | None]:
    """Give the body of a live migration, and the microversion that understands it."""
    body = {"host": chosen.host, "block_migration": chosen.block}
    policy = policies.given(chosen.fields, policy=chosen.policy)
    if policy:
        body[policies.KEY] = policy
    if chosen.zone:
        body[ZONE] = chosen.zone
    old = chosen.disk_over_commit or chosen.microversion_free
    if not old:
        return body, CHECKED_LATER if chosen.wait else CHECKED_FIRST
    if chosen.block == "auto":
        raise failures.Failure(
            "--disk-over-commit and --microversion-free need --block-migration "
            "or --shared-migration"
        )
    body["disk_over_commit"] = chosen.disk_over_commit
    return body, None if chosen.microversion_free else OVER_COMMIT


def begun(answer: api.Answer) -> str | None:
    """Give the id of the migration that an order began; Nova's own API does not tell."""
    place, _, uuid = answer.headers.get("Location", "").rstrip("/").rpartition("/")
    return uuid if place.endswith("/os-migrations") else None


def arrived(client: api.Api, server: api.Row, move: api.Row, wanted: str | None) -> None:
    """Fail unless the move is completed and the server is where it was to go."""
    if move["status"] != "completed":
        raise failures.Failure(f"{server['name']} did not move: {watch.reasons(move)}")
    host = client.get(f"/servers/{server['id']}")["server"][servers.HOST]
    if host != (wanted or watch.destination(move)) or host == watch.source(move):
        raise failures.Failure(f"{server['name']} is recorded on {host}: not where it was to go")


class ListMoves(command.List):
    """List migrations, newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the filters."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--server", help="only of this server, name or id")
        parser.add_argument("--host", help="only from or to this host")
        parser.add_argument("--status", help="only of this status, for example running")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the migrations, page by page."""
        server = parsed_args.server and find.server(self.client, parsed_args.server)["id"]
        rows = self.client.rows(
            "/os-migrations",
            "migrations",
            instance_uuid=server,
            host=parsed_args.host,
            status=parsed_args.status,
        )
        return command.listed(LISTED, rows)


class ShowMove(command.Show):
    """Show a migration: progress, reasons, and its journal."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("migration", help=WHICH)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Ask for the whole migration."""
        return command.shown(SHOWN, find.migration(self.client, parsed_args.migration))


class WatchMove(command.Act):
    """Follow a migration until it ends; the exit status tells how."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("migration", nargs="?", help=WHICH)
        which.add_argument("--server", help="the newest of this server, name or id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Show the migration until it has ended."""
        whole = find.migration(self.client, self._uuid(parsed_args))
        # One that waits for its user may do so for days.
        waits = FINISHED if (whole.get("cold") or {}).get("auto_confirm") is False else frozenset()
        move = watch.follow(self.client, whole["uuid"], self.app.stdout, waits)
        if move["status"] not in GOOD:
            raise failures.Failure(f"the migration is {watch.reasons(move)}")

    def _uuid(self, chosen: argparse.Namespace) -> str:
        if not chosen.server:
            return str(chosen.migration)
        server = find.server(self.client, chosen.server)
        return find.newest(self.client, server)


def _time(words: str) -> datetime:
    return datetime.fromisoformat(words)

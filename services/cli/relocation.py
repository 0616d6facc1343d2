"""`whimbrel server migrate`, `resize`, `confirm` and `revert`: moves of servers that may be off."""

from __future__ import annotations

import argparse

from services.cli import api
from services.cli import command
from services.cli import explain
from services.cli import failures
from services.cli import find
from services.cli import moves
from services.cli import watch

# What the API takes beside Nova's own keys.
CONFIRM = "whimbrel:confirm"
BANDWIDTH = "whimbrel:bandwidth"
HOST = "whimbrel:host"

FINISHED = "finished"
# Statuses of a move that is over and well, or waits for its user.
WELL = frozenset({FINISHED, "confirmed"})

ENDED: tuple[command.Column, ...] = (
    ("id", command.at("uuid")),
    ("server", command.at("instance_uuid")),
    ("type", command.at("migration_type")),
    ("status", command.at("status")),
    ("from", watch.source),
    ("to", watch.destination),
    ("copied_bytes", command.at("cold", "copied_bytes")),
    ("off_ms", command.at("cold", "off_ms")),
    ("confirms_itself_at", command.at("confirm_at")),
)


class Migrate(command.Show):
    """Move a server to another host, off for as short as can be; it is confirmed by itself."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what, where and how."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        parser.add_argument("--host", help="to this host; the scheduler chooses without")
        parser.add_argument(
            "--keep",
            action="store_true",
            help="keep what is at the source until `server confirm` or `server revert`",
        )
        _add_copy(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the move; with --wait, see it end; with --dry-run, only rank the hosts."""
        if parsed_args.dry_run:
            return _rank(self, parsed_args, kind="cold")
        body = {"host": parsed_args.host, CONFIRM: not parsed_args.keep}
        return _begin(self, parsed_args, "migrate", body, keep=parsed_args.keep)


class Resize(command.Show):
    """Give a server another flavor; it waits for `server confirm` or `server revert`."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what, how large, where and how."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        parser.add_argument("--flavor", required=True, help="name or id of the new flavor")
        parser.add_argument("--host", help="on this host; the scheduler chooses without")
        parser.add_argument(
            "--confirm", action="store_true", help="confirm it by itself once it runs"
        )
        _add_copy(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the resize; with --wait, see it end; with --dry-run, only rank the hosts."""
        flavor = find.flavor(self.client, parsed_args.flavor)
        if parsed_args.dry_run:
            return _rank(self, parsed_args, kind="resize", flavor=flavor["id"])
        body = {"flavorRef": flavor["id"], HOST: parsed_args.host, CONFIRM: parsed_args.confirm}
        return _begin(self, parsed_args, "resize", body, keep=not parsed_args.confirm)


class Confirm(command.Act):
    """Keep a resized or migrated server as it is now; what was kept at its source is removed."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Order it, and with --wait see it done."""
        _end(self, parsed_args, "confirmResize", "confirmed")


class Revert(command.Act):
    """Bring a resized or migrated server back as it was; what it has written since is lost."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one, and that one is sure."""
        parser = _which(super().get_parser(prog_name))
        parser.add_argument("--yes", action="store_true", help="do not ask")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Say what is lost, order it, and with --wait see it done."""
        server = find.server(self.client, parsed_args.server)
        if not parsed_args.yes and not self._sure(server):
            raise failures.Failure(f"{server['name']} stays as it is")
        _end(self, parsed_args, "revertResize", "reverted")

    def _sure(self, server: api.Row) -> bool:
        lost = (
            f"everything that {server['name']} has written since it was resized is lost: "
            "it goes back to its old disk, flavor and host"
        )
        if not self.app.stdin.isatty():
            raise failures.Failure(f"{lost}; add --yes to go on")
        self.app.stderr.write(f"{lost}.\nGo on? [y/N] ")
        self.app.stderr.flush()
        return self.app.stdin.readline().strip().lower() in {"y", "yes"}


def _add_copy(parser: argparse.ArgumentParser) -> None:
    moves.add_zone(parser)
    parser.add_argument(
        "--bandwidth", type=int, default=0, metavar="MIB", help="copy at most so many MiB a second"
    )
    parser.add_argument("--wait", action="store_true", help="watch it, and fail unless it arrives")
    parser.add_argument(
        "--dry-run", action="store_true", help="only rank the hosts that it could go to"
    )


def _rank(asked: command.Show, chosen: argparse.Namespace, **kind: str) -> command.Shown:
    server = find.server(asked.client, chosen.server)
    path = f"/servers/{server['id']}/whimbrel-ranking"
    return explain.ranking(asked.client.get(path, host=chosen.host, zone=chosen.zone, **kind))


def _which(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("server", help="name or id")
    parser.add_argument("--wait", action="store_true", help="wait until it is done")
    return parser


def _begin(
    asked: command.Show, chosen: argparse.Namespace, action: str, body: api.Row, *, keep: bool
) -> command.Shown:
    """Send the order, and show the move: as it begins, or with --wait as it ends."""
    client = asked.client
    server = find.server(client, chosen.server)
    order = {name: value for name, value in body.items() if value is not None}
    order[BANDWIDTH] = chosen.bandwidth
    if chosen.zone:
        order[moves.ZONE] = chosen.zone
    answer = client.send(
        "POST", f"/servers/{server['id']}/action", {action: order}, version=api.NEWEST
    )
    uuid = moves.begun(answer) or find.newest(client, server)
    name = server["name"]
    decide = f"decide with: whimbrel server confirm {name} | whimbrel server revert {name}"
    if not chosen.wait:
        asked.note(f"watch it with: whimbrel migration watch {uuid}")
        if keep:
            asked.note(f"once it is finished, {decide}")
        return command.shown(ENDED, find.migration(client, uuid))
    move = watch.follow(client, uuid, asked.app.stderr, frozenset({FINISHED} if keep else ()))
    if move["status"] not in WELL:
        raise failures.Failure(f"{name} did not move: {watch.reasons(move)}")
    if move["status"] == FINISHED:
        asked.note(decide)
    return command.shown(ENDED, move)


def _end(asked: command.Act, chosen: argparse.Namespace, action: str, status: str) -> None:
    client = asked.client
    server = find.server(client, chosen.server)
    uuid = find.newest(client, server)
    client.send("POST", f"/servers/{server['id']}/action", {action: None})
    if not chosen.wait:
        return
    move = watch.follow(client, uuid, asked.app.stderr)
    if move["status"] != status:
        raise failures.Failure(f"{server['name']} is not {status}: {watch.reasons(move)}")

"""Migration policies as words of a command line, and `whimbrel migration policies`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from services.cli import api
from services.cli import command

# Where the API takes a policy, beside Nova's own keys.
KEY = "whimbrel:policy"


def field(word: str) -> tuple[str, str]:
    """Read FIELD=VALUE."""
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{word!r} is not FIELD=VALUE, like downtime_ms=300")
    return name, value


def add(parser: argparse.ArgumentParser) -> None:
    """Add the option that sets any field of a policy."""
    parser.add_argument(
        "--set",
        dest="fields",
        metavar="FIELD=VALUE",
        type=field,
        action="append",
        default=[],
        help="set this field of the policy, may be given several times; "
        "whimbrel migration policies shows all fields",
    )


def given(fields: Iterable[tuple[str, str]], **named: object) -> api.Row:
    """Give the fields of a policy that were asked for; None is none."""
    return dict(fields) | {name: value for name, value in named.items() if value is not None}


def text(value: object) -> object:
    """Give a field's value as `--set` takes it, numbers and flags as they are."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def plain(policy: api.Row | None) -> api.Row:
    """Give a policy with values for people."""
    return {name: text(value) for name, value in (policy or {}).items()}


class ListPolicies(command.List):
    """Show what each preset of a migration policy says here, field by field."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the presets; a row is a field, a column a preset."""
        del parsed_args
        body = self.client.get("/whimbrel/policies")
        presets = body["policies"]
        self.note(
            f"the default is {body['default']}; a migration that goes on can be told another: "
            f"{', '.join(body['changeable'])}"
        )
        names = [name for name in presets[0] if name != "name"]
        rows = [[name, *(text(preset[name]) for preset in presets)] for name in names]
        return ["Field", *(preset["name"] for preset in presets)], rows

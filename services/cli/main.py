"""The `whimbrel` command: a person's or a script's way to the HTTP API."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import metadata

from cliff import app
from cliff import command
from cliff import commandmanager

from services.cli import api

DEFAULT_ENDPOINT = "http://127.0.0.1:8774"
OPTIONS = (
    ("--endpoint", "WHIMBREL_ENDPOINT", DEFAULT_ENDPOINT, "root of the API, without /v2.1"),
    ("--username", "WHIMBREL_USERNAME", None, "user, where the API asks for one (http_basic)"),
    ("--password", "WHIMBREL_PASSWORD", None, "that user's password; better in the environment"),
)


class Words(logging.Formatter):
    """Lines for people: an error says that it is one, and that is all."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the message, marked if it is an error or a warning."""
        mark = {logging.ERROR: "error: ", logging.WARNING: "warning: "}.get(record.levelno, "")
        return mark + super().format(record)


class Whimbrel(app.App):
    """Reads the options that all commands have, and runs the one that is named."""

    NAME = "whimbrel"
    client: api.Api

    def __init__(self) -> None:
        """Find the commands; none is loaded before it is needed."""
        super().__init__(
            description="Move virtual machines between libvirt hosts.",
            version=metadata.version("whimbrel"),
            command_manager=commandmanager.CommandManager("whimbrel.cli"),
            deferred_help=True,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, object] | None = None,
    ) -> argparse.ArgumentParser:
        """Add where and as whom to ask; each option has its environment variable."""
        exact = {**(argparse_kwargs or {}), "allow_abbrev": False}
        parser = super().build_option_parser(description, version, exact)
        for option, variable, default, words in OPTIONS:
            parser.add_argument(
                option,
                default=os.environ.get(variable, default),
                help=f"{words} [{variable}]",
            )
        return parser

    def configure_logging(self) -> None:
        """Give errors their mark, and libraries' warnings no voice of their own."""
        super().configure_logging()
        for handler in logging.getLogger().handlers:
            handler.setFormatter(Words())
        logging.getLogger("stevedore").setLevel(logging.ERROR)

    def prepare_to_run_command(self, cmd: command.Command) -> None:
        """Make the API client that the command will use."""
        self.client = api.Api(self.options.endpoint, self.options.username, self.options.password)

    def interact(self) -> None:
        """Answer a call without a command with the list of commands."""
        self.run_subcommand(["help"])


def main() -> int:
    """Run one command and give its exit status."""
    return Whimbrel().run(sys.argv[1:])

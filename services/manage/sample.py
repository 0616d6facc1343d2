"""`whimbrel-manage config sample`: every option with its help and default."""

from __future__ import annotations

import sys
from typing import Any
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_config import generator

from common import log
from rpc import bus

if TYPE_CHECKING:
    import argparse

NAME = "config"
NAMESPACES = ["whimbrel", "oslo.log", "oslo.messaging", "oslo.policy"]


def register(subparsers: Any) -> None:  # noqa: ANN401 - argparse's own type for this is private
    """Declare the subcommand and its verb."""
    parser = subparsers.add_parser(NAME, help="the configuration")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("sample", help="print every option, commented out")


def run(_conf: cfg.ConfigOpts, _args: argparse.Namespace) -> int:
    """Print the sample and give the exit status."""
    bus.set_defaults()
    log.set_defaults()
    options = cfg.ConfigOpts()
    generator.register_cli_opts(options)
    named = [f"--namespace={name}" for name in NAMESPACES]
    options(named, default_config_files=[], default_config_dirs=[])
    generator.generate(options, sys.stdout)
    return 0

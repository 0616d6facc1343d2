"""whimbrel-manage: what an operator does to the installation, not to servers."""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from common import errors
from common import log
from common.config import load
from services.manage import database
from services.manage import image
from services.manage import sample

if TYPE_CHECKING:
    from collections.abc import Sequence

# One module per noun: NAME, register(subparsers) and run(conf, args).
NOUNS = (database, image, sample)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one thing and give the exit status."""
    args = _parser().parse_args(arguments)
    files = [f"--config-file={path}" for path in args.config_file]
    try:
        conf = load.load(files, "whimbrel-manage")
        log.start(conf, "whimbrel-manage")
        status: int = {noun.NAME: noun.run for noun in NOUNS}[args.noun](conf, args)
    except (errors.Error, cfg.Error) as refusal:
        sys.stderr.write(f"whimbrel-manage: {refusal}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="whimbrel-manage", description=__doc__)
    parser.add_argument(
        "--config-file",
        action="append",
        default=[],
        type=pathlib.Path,
        metavar="FILE",
        help="the services' configuration; may be given more than once",
    )
    nouns = parser.add_subparsers(dest="noun", required=True)
    for noun in NOUNS:
        noun.register(nouns)
    return parser

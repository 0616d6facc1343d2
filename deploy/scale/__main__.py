"""`make scale`: run thousands of simulated hosts on a real broker and database, and measure."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from common import errors as product_errors
from deploy.lab import errors
from deploy.lab import up
from deploy.scale import run
from deploy.scale import table


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="scale", description=__doc__)
    top.add_argument("--topology", type=Path, default=run.THOUSAND, help="default: %(default)s")
    top.add_argument("--hosts", type=int, default=0, help="default: as many as the topology says")
    top.add_argument("--parts", type=int, default=1, help="processes of the fleet (default: 1)")
    top.add_argument("--conductors", type=int, default=1, help="processes of it (default: 1)")
    top.add_argument("--schedulers", type=int, default=1, help="processes of it (default: 1)")
    top.add_argument("--minutes", type=float, default=1.0, help="of heartbeats alone (default: 1)")
    top.add_argument("--moves", type=int, default=100, help="guests to build and move")
    top.add_argument("--name", default="scale", help="of the folder under /var/lib/whimbrel-lab")
    top.add_argument(
        *("--set", "-s"),
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="a setting for every service; may be repeated",
    )
    return top


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Make a termination an interruption, so that what was begun is taken away."""
    raise KeyboardInterrupt


def main() -> int:
    """Run, print the tables; 1 if a host was ever down or the run did not end well."""
    args = parser().parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    order = run.Order(
        topology=args.topology,
        hosts=args.hosts,
        parts=args.parts,
        seconds=60 * args.minutes,
        moves=args.moves,
        name=args.name,
        settings=tuple(args.set),
        conductors=args.conductors,
        schedulers=args.schedulers,
    )
    try:
        run.check(order)
        result = run.measure(order, up.Clock().say)
    except (errors.Error, product_errors.Error) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("scale: interrupted", file=sys.stderr)
        return 130
    print(f"\n{table.text(result)}\n\nwritten to {run.save(result)}")
    return 1 if result.down else 0


if __name__ == "__main__":
    sys.exit(main())

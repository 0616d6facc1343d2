"""Write what is generated of the replays: `python -m tests.replay [--rewrite]`.

The tables of doc/convergence.md always; the golden decision logs only with
`--rewrite`: read the difference before it is committed.
"""

from __future__ import annotations

import sys

from tests.replay import pages
from tests.replay import trace


def main(arguments: list[str]) -> None:
    """Write the tables, and the logs if asked to."""
    pages.PAGE.write_text(pages.page(pages.PAGE.read_text()))
    if "--rewrite" not in arguments:
        return
    for name in trace.names():
        pages.GOLDEN.mkdir(exist_ok=True)
        (pages.GOLDEN / f"{name}.log").write_text(pages.log(name))


if __name__ == "__main__":
    main(sys.argv[1:])

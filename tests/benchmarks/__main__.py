"""Run every benchmark and print its tables; names on the command line choose some."""

from __future__ import annotations

import contextlib
import sys
from typing import NamedTuple
from typing import TYPE_CHECKING

from tests.benchmarks import bus
from tests.benchmarks import figures
from tests.benchmarks import migration
from tests.benchmarks import scheduling
from tests.integration import labs

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

SUBNET = "198.18.3.0/24"
Tables = dict[str, list[figures.Figure]]


class Benchmark(NamedTuple):
    """One row: what measures, in the lab of this run or without one."""

    measure: Callable[[labs.Lab], Tables]
    needs_lab: bool


def _scheduling(_lab: labs.Lab) -> Tables:
    found = [scheduling.measure(count) for count in (100, 1000)]
    return {"Scheduling on SQLite, claim included": found}


BENCHMARKS = {
    "bus": Benchmark(bus.measure_all, needs_lab=True),
    "scheduling": Benchmark(_scheduling, needs_lab=False),
    "migration": Benchmark(migration.measure, needs_lab=True),
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        known = ", ".join(BENCHMARKS)
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; there are: {known}\n")
        return 2
    chosen = {name: BENCHMARKS[name] for name in names or BENCHMARKS}
    groups: Tables = {}
    with _lab(any(one.needs_lab for one in chosen.values())) as lab:
        for name, one in chosen.items():
            sys.stdout.write(f"measuring: {name}\n")
            sys.stdout.flush()
            groups.update(one.measure(lab))
    figures.report(groups)
    return 0


@contextlib.contextmanager
def _lab(needed: bool) -> Iterator[labs.Lab]:  # noqa: FBT001 - the only thing to say
    lab = labs.Lab("bench", SUBNET)
    if not needed:
        yield lab
        return
    sys.stdout.write("starting a lab of two hosts\n")
    sys.stdout.flush()
    lab.up("--hosts", "2")
    try:
        yield lab
    finally:
        lab.down()


sys.exit(main(sys.argv[1:]))

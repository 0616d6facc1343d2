"""Run every benchmark and print its tables; names on the command line choose some."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from typing import NamedTuple
from typing import TYPE_CHECKING

from deploy.lab import registry
from tests.benchmarks import bus
from tests.benchmarks import document
from tests.benchmarks import drain
from tests.benchmarks import figures
from tests.benchmarks import fleet
from tests.benchmarks import messages
from tests.benchmarks import migration
from tests.benchmarks import noticing
from tests.benchmarks import relocation
from tests.benchmarks import schedulers
from tests.benchmarks import scheduling
from tests.integration import labs

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

Tables = dict[str, list[figures.Figure]]


class Benchmark(NamedTuple):
    """One row: what measures, in the lab of this run or without one."""

    measure: Callable[[labs.Lab], Tables]
    needs_lab: bool


def _scheduling(_lab: labs.Lab) -> Tables:
    return scheduling.measure()


BENCHMARKS = {
    "bus": Benchmark(bus.measure_all, needs_lab=True),
    "scheduling": Benchmark(_scheduling, needs_lab=False),
    "schedulers": Benchmark(schedulers.measure, needs_lab=False),
    "idle": Benchmark(migration.measure, needs_lab=True),
    "busy": Benchmark(migration.measure_busy, needs_lab=True),
    "cold": Benchmark(relocation.measure, needs_lab=True),
    "drain": Benchmark(drain.measure, needs_lab=True),
    "noticing": Benchmark(noticing.measure, needs_lab=True),
    "messages": Benchmark(messages.measure, needs_lab=True),
    "fleet": Benchmark(fleet.measure, needs_lab=False),
}


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all."""
    options = _parse(arguments)
    # Told to end, it takes its guests and its lab away first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = {name: BENCHMARKS[name] for name in options.names or BENCHMARKS}
    lab = labs.Lab(options.lab, options.subnet)
    groups: Tables = {}
    with _running(lab, any(one.needs_lab for one in chosen.values())) as machine:
        for name, one in chosen.items():
            _say(f"measuring: {name}")
            found = one.measure(lab)
            groups |= found
            if options.write:
                document.write(name, found, machine)
    figures.report(groups)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--write", action="store_true", help=f"into doc/{document.PAGE.name} too")
    parser.add_argument("--lab", default="bench", help="one that runs is used, and left running")
    parser.add_argument("--subnet", default="198.18.3.0/24")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        known = ", ".join(BENCHMARKS)
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {known}")
    return options


@contextlib.contextmanager
def _running(lab: labs.Lab, needed: bool) -> Iterator[str]:  # noqa: FBT001 - the only thing to say
    """Have a lab of two hosts where one is needed; gives what the machine is."""
    if not needed:
        yield document.machine("no guests")
        return
    found = registry.recall(lab.name)
    if found is not None and registry.healthy(found):
        yield document.machine(found.virt_type)
        return
    _say("starting a lab of two hosts")
    lab.up("--hosts", "2")
    try:
        yield document.machine(registry.find(lab.name).virt_type)
    finally:
        lab.down()


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

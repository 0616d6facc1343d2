"""Recorded jobs, as samples for the engine."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from services.compute.convergence.sample import Sample

TRACES = pathlib.Path(__file__).parent / "traces"
SETTLED = 3  # the iteration from which a trace that was cut short is repeated


class Trace(NamedTuple):
    """One recording: what it is, and what was seen."""

    name: str
    says: str
    memory: int  # bytes, as the guest has it
    bandwidth: int  # bytes per second, as it was capped
    samples: list[Sample]
    finished: bool  # the guest arrived; else the recorder gave up

    @property
    def disk(self) -> int:
        """Bytes of disk that were copied."""
        return max(sample.disk_remaining for sample in self.samples)

    def play(self, seconds: float) -> Iterator[Sample]:
        """Give the samples, and when the recorder gave up, go on from the third iteration again.

        A guest that did not converge for a minute is taken not to do so for an hour.
        """
        yield from self.samples
        if self.finished:
            return
        part = self._repeated()
        at, iteration = self.samples[-1].elapsed, self.samples[-1].iteration
        while at < seconds:
            for sample in part:
                yield sample._replace(
                    elapsed=round(at + sample.elapsed - part[0].elapsed, 3),
                    iteration=iteration + sample.iteration - part[0].iteration + 1,
                )
            at += part[-1].elapsed - part[0].elapsed
            iteration += part[-1].iteration - part[0].iteration + 1

    def _repeated(self) -> list[Sample]:
        return [s for s in self.samples if SETTLED <= s.iteration < self.samples[-1].iteration]


def names() -> list[str]:
    """Give the traces there are."""
    return sorted(path.stem for path in TRACES.glob("*.jsonl"))


def load(name: str) -> Trace:
    """Read one trace."""
    head, *rows, tail = map(json.loads, (TRACES / f"{name}.jsonl").read_text().splitlines())
    return Trace(
        name=name,
        says=head["says"],
        memory=head["memory"],
        bandwidth=head["bandwidth"],
        samples=[sample(row) for row in rows],
        finished=tail["ended"] == "completed",
    )


def sample(row: dict[str, Any]) -> Sample:
    """Read a row as the libvirt driver reads virDomainGetJobStats."""
    return Sample(
        elapsed=row["at"],
        iteration=max(row["iteration"], row.get("memory_iteration", 0)),
        remaining=row["memory_remaining"],
        total=row["memory_total"],
        rate=row.get("memory_bps", 0) + row.get("disk_bps", 0),
        dirty_rate=row.get("memory_dirty_rate", 0) * row.get("memory_page_size", 4096),
        disk_remaining=row["disk_remaining"],
    )

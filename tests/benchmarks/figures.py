"""Figures of a benchmark run: median, minimum, maximum and count, as table and JSON."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import platform
import statistics
import sys
from typing import NamedTuple

HEAD = ("", "median", "min", "max", "n", "unit")
FOLDER = pathlib.Path(".cache/bench")


class Figure(NamedTuple):
    """One thing measured several times in one run."""

    name: str
    unit: str
    values: list[float]

    @property
    def row(self) -> tuple[str, ...]:
        """Give the cells of its line."""
        found = (statistics.median(self.values), min(self.values), max(self.values))
        return (self.name, *(f"{one:.2f}" for one in found), str(len(self.values)), self.unit)


def ratio(name: str, ours: Figure, theirs: Figure) -> Figure:
    """Compare two figures that were measured in turns, pair by pair."""
    return Figure(
        name, "x", [one / other for one, other in zip(ours.values, theirs.values, strict=True)]
    )


def pairs(name: str, ours: Figure, theirs: Figure) -> list[Figure]:
    """Compare two figures that were measured in turns, with a line for each pair."""
    found = ratio(name, ours, theirs)
    numbered = enumerate(found.values, 1)
    return [found, *(Figure(f"{name}, pair {at}", "x", [one]) for at, one in numbered)]


def table(title: str, figures: list[Figure]) -> str:
    """Draw a table for people."""
    rows = [HEAD, *(figure.row for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in {0, len(HEAD) - 1} else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([title, *lines, ""])


def report(groups: dict[str, list[Figure]]) -> None:
    """Print every table, and write the same figures as JSON under .cache/bench."""
    now = datetime.datetime.now(datetime.UTC)
    for title, figures in groups.items():
        sys.stdout.write(table(title, figures) + "\n")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{now:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(_document(groups, now), indent=1) + "\n")
    sys.stdout.write(f"written to {path}\n")


def _document(groups: dict[str, list[Figure]], now: datetime.datetime) -> dict[str, object]:
    return {
        "when": now.isoformat(),
        "machine": {
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        "groups": {
            title: [
                {
                    "name": figure.name,
                    "unit": figure.unit,
                    "median": statistics.median(figure.values),
                    "min": min(figure.values),
                    "max": max(figure.values),
                    "values": figure.values,
                }
                for figure in figures
            ]
            for title, figures in groups.items()
        },
    }

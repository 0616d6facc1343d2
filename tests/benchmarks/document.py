"""The page of measured numbers: each part between marks, replaced by what was measured last."""

from __future__ import annotations

import datetime
import os
import pathlib
import re
from typing import TYPE_CHECKING

from tests.benchmarks import figures

if TYPE_CHECKING:
    from tests.benchmarks.figures import Figure

PAGE = pathlib.Path(__file__).parents[2] / "doc" / "benchmarks.md"


def write(part: str, groups: dict[str, list[Figure]], machine: str) -> None:
    """Replace one part of the page by these tables."""
    PAGE.write_text(replaced(PAGE.read_text(), part, rendered(groups, machine)))


def replaced(page: str, part: str, text: str) -> str:
    """Give the page with the text between the part's marks, or ValueError without marks."""
    begin, end = f"<!-- bench {part} -->\n", "<!-- /bench -->"
    pattern = re.compile(f"({re.escape(begin)}).*?({re.escape(end)})", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"{PAGE.name} has no part {begin.strip()}")
    return pattern.sub(lambda found: found[1] + text + found[2], page)


def rendered(groups: dict[str, list[Figure]], machine: str) -> str:
    """Draw the tables as Markdown, and say when and where they were measured."""
    today = datetime.datetime.now(datetime.UTC).date()
    parts = [f"Measured {today} on {machine}.\n"]
    for title, rows in groups.items():
        parts += [f"**{title}**\n", _table(rows)]
    return "\n".join(parts)


def machine(virt_type: str) -> str:
    """Describe the machine in a few words, with how busy it was before."""
    emulated = "TCG" if virt_type == "qemu" else virt_type
    load = os.getloadavg()[0]
    where = "hosts and services on one machine"
    return f"{os.cpu_count()} cores, {emulated}, {where}, load {load:.0f} at the start"


def _table(rows: list[Figure]) -> str:
    head = "| " + " | ".join(figures.HEAD) + " |\n|---|" + "---:|" * 4 + "---|\n"
    return head + "".join(f"| {' | '.join(row.row)} |\n" for row in rows)

"""Why hosts were refused: {host: [{"filter": ..., "reason": ...}]}, as kept and shown.

A filter is one of the scheduler, or the check or step that refused. A host
may be refused more than once: each try adds its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Reasons: TypeAlias = dict[str, list[dict[str, str]]]

# Hosts named in a sentence; the structure has all.
NAMED = 10


def one(by: str, reason: str) -> list[dict[str, str]]:
    """Give a host's only refusal."""
    return [{"filter": by, "reason": reason}]


def add(found: Reasons, host: str, by: str, reason: str) -> None:
    """Add a refusal of the host, unless it is there already."""
    refusal = {"filter": by, "reason": reason}
    mine = found.setdefault(host, [])
    if refusal not in mine:
        mine.append(refusal)


def merge(first: Reasons, then: Reasons) -> Reasons:
    """Give both, those of the first before the others."""
    both: Reasons = {host: list(refusals) for host, refusals in first.items()}
    for host, refusals in then.items():
        for refusal in refusals:
            add(both, host, refusal["filter"], refusal["reason"])
    return both


def read(facts: Mapping[str, object]) -> Reasons:
    """Take the reasons out of an error's facts; none are an empty dictionary."""
    found = facts.get("reasons")
    if not isinstance(found, dict):
        return {}
    return {str(host): list(refusals) for host, refusals in found.items()}


def sentence(found: Mapping[str, list[dict[str, str]]], nothing: str) -> str:
    """Say it in one line: "host1: RamFilter: needs 4096 MB, 3211 MB free; ..."."""
    told = [f"{host}: {line(refusals)}" for host, refusals in sorted(found.items())]
    more = [f"and {len(told) - NAMED} more"] if len(told) > NAMED else []
    return "; ".join([*told[:NAMED], *more]) or nothing


def line(refusals: list[dict[str, str]]) -> str:
    """Say why one host was refused."""
    return ", ".join(f"{one['filter']}: {one['reason']}" for one in refusals)

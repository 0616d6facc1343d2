"""Filters and weighers that other packages bring, by their entry points.

Only those that the configuration names are loaded: another package that is
broken concerns nobody. What a function of theirs does wrong is logged and ends
at the host that it was asked about, not with the request.
"""

from __future__ import annotations

import logging
import math
from importlib import metadata
from typing import Any
from typing import TYPE_CHECKING

from common import errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Collection
    from typing import TypeAlias

    from common.db.hosts import Room
    from services.scheduler.request import Request

    Refuse: TypeAlias = Callable[[Room, Request], str | None]
    Weigh: TypeAlias = Callable[[Room, Request], float]
    # As others wrote it: what it gives is anybody's guess.
    Function: TypeAlias = Callable[[Room, Request], Any]

LOG = logging.getLogger(__name__)


def load(
    option: str, group: str, names: Collection[str], builtin: Collection[str]
) -> dict[str, Function]:
    """Load the functions of these names; Invalid says why the scheduler cannot start.

    It cannot when a name is unknown, brought twice, one of Whimbrel's own, or
    cannot be loaded.
    """
    entries: dict[str, list[metadata.EntryPoint]] = {}
    for entry in metadata.entry_points(group=group):
        entries.setdefault(entry.name, []).append(entry)
    for name in sorted(entries.keys() & set(builtin)):
        raise errors.Invalid(
            f"{_told(entries[name])} brings {name} under the entry point group {group}, which is "
            "the name of one of Whimbrel's own; give it another name"
        )
    unknown = sorted(set(names) - set(builtin) - entries.keys())
    if unknown:
        raise errors.Invalid(
            f"{option} names {', '.join(unknown)}; known are {', '.join([*builtin, *entries])}, "
            f"and what an installed package has under the entry point group {group}"
        )
    return {name: _one(option, name, entries[name]) for name in names if name in entries}


def refuse(name: str, function: Function) -> Refuse:
    """Give a filter that refuses the host when this one fails, with the error for a reason."""

    def refusal(host: Room, request: Request) -> str | None:
        try:
            reason = function(host, request)
        except Exception as error:
            LOG.exception("filter %s failed for %s, which is refused", name, host.name)
            return f"the filter itself failed: {type(error).__name__}: {error}"
        if reason is None or isinstance(reason, str):
            return reason
        LOG.error("filter %s gave %r for %s, which is refused", name, reason, host.name)
        return f"the filter itself failed: it gave {reason!r}, which is neither None nor a sentence"

    return refusal


def weigh(name: str, function: Function) -> Weigh:
    """Give a weigher that gives 0 when this one fails."""

    def weight(host: Room, request: Request) -> float:
        try:
            found = float(function(host, request))
        except Exception:
            LOG.exception("weigher %s failed for %s, which gets 0 of it", name, host.name)
            return 0.0
        if math.isfinite(found):
            return found
        LOG.error("weigher %s gave %s for %s, which gets 0 of it", name, found, host.name)
        return 0.0

    return weight


def _one(option: str, name: str, entries: list[metadata.EntryPoint]) -> Function:
    if len(entries) > 1:
        raise errors.Invalid(
            f"{option} names {name}, which several packages bring: {_told(entries)}; remove one"
        )
    (entry,) = entries
    try:
        function = entry.load()
    except Exception as error:
        raise errors.Invalid(
            f"{option} names {name}, and {_told(entries)} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise errors.Invalid(f"{option} names {name}, and {_told(entries)} is no function")
    return function  # type: ignore[no-any-return]  # what a package brings has no type


def _told(entries: list[metadata.EntryPoint]) -> str:
    """Say which packages they are of."""
    return " and ".join(
        f"{entry.value} of {entry.dist.name if entry.dist else 'an unknown package'}"
        for entry in entries
    )

"""Looks for what the records hold without a reason, and puts it right."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common.db import leftovers

if TYPE_CHECKING:
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


class Audit:
    """One process's audit: every [conductor] audit_interval seconds, the first at once."""

    def __init__(self, deps: Deps) -> None:
        """Be due."""
        self._deps = deps
        self._due = deps.clock.monotonic()

    def tick(self) -> None:
        """Look, if it is time to."""
        now = self._deps.clock.monotonic()
        if now < self._due:
            return
        self._due = now + self._deps.conf.conductor.audit_interval
        sweep(self._deps)


def sweep(deps: Deps) -> list[leftovers.Leftover]:
    """Give back every claim that nobody needs, and tell which; each in its own transaction.

    Such a claim comes from a scheduler that answered after its conductor had
    given up.
    """
    with deps.database.read() as tx:
        found = leftovers.find(tx)
    given_back = []
    for leftover in found:
        with deps.database.write() as tx:
            if not leftovers.release(tx, leftover):
                continue
        given_back.append(leftover)
        LOG.warning(
            "%s: room that %s held is given back: %s",
            leftover.host,
            leftover.consumer,
            leftover.why,
        )
    return given_back

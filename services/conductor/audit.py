"""Compares records, claims and what hosts report; puts right what is ours, and tells the rest.

It never ends a guest: what no record explains is for a person.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import findings
from common.db import hosts
from common.db import leftovers
from common.db import needs
from common.db import servers

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

CLAIM = "claim"


class Audit:
    """One process's audit: every [conductor] audit_interval seconds, the first at once."""

    def __init__(self, deps: Deps) -> None:
        """Be due, with nothing told yet."""
        self._deps = deps
        self._due = deps.clock.monotonic()
        self._told: frozenset[tuple[str, str, str]] = frozenset()

    def tick(self) -> None:
        """Look, if it is time to; what was told is told again only after it was gone."""
        now = self._deps.clock.monotonic()
        if now < self._due:
            return
        self._due = now + self._deps.conf.conductor.audit_interval
        left = [finding for finding in audit(self._deps) if not finding.repaired]
        for finding in left:
            if _key(finding) not in self._told:
                LOG.warning("audit: %s", finding.sentence)
        self._told = frozenset(map(_key, left))


def audit(deps: Deps, host: str | None = None) -> list[objects.Finding]:
    """Look at one host or all, put right what is ours, and give all that was found."""
    names = None if host is None else [host]
    return [
        *_claims(deps, host),
        *_needs(deps, names),
        *_counts(deps, names),
        *observe(deps, names),
    ]


def sweep(deps: Deps, host: str | None = None) -> list[leftovers.Leftover]:
    """Give back every claim that nobody needs, and tell which; each in its own transaction.

    Such a claim comes from a scheduler that answered after its conductor had
    given up.
    """
    with deps.database.read() as tx:
        found = leftovers.find(tx, host=host)
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


def doubtful(deps: Deps) -> float:
    """Give the seconds for which a host's report may be older than what was done since."""
    return findings.SETTLED * float(deps.conf.service.heartbeat)


def settling(deps: Deps) -> float:
    """Give the seconds after which a report is followed whatever was done shortly before it."""
    return (findings.SETTLED + 1) * float(deps.conf.service.heartbeat)


def observe(deps: Deps, names: Collection[str] | None) -> list[objects.Finding]:
    """Compare what hosts report of their guests with the servers.

    Power states are written, and what guests take that nobody knows is counted.
    """
    down_after = deps.conf.service.down_after
    with deps.database.read() as tx:
        found = findings.look(tx, deps.clock.now(), down_after, doubtful(deps), names)
    for host in sorted({finding.host for finding in found if finding.kind == findings.UNKNOWN}):
        _occupied(deps, host)
    return [
        _made(finding, repaired=finding.kind == findings.POWER and _follow(deps, finding))
        for finding in found
    ]


def _claims(deps: Deps, host: str | None) -> list[objects.Finding]:
    return [
        objects.Finding(
            kind=CLAIM,
            host=one.host,
            subject=one.consumer,
            sentence=f"{one.host} held room for {one.consumer}: {one.why}",
            repaired=True,
        )
        for one in sweep(deps, host)
    ]


def _needs(deps: Deps, names: Collection[str] | None) -> list[objects.Finding]:
    """Claim what is needed and not held just so, each in its own transaction."""
    with deps.database.read() as tx:
        lacking = needs.find(tx, names)
    met = []
    for need in lacking:
        with deps.database.write() as tx:
            found = needs.meet(tx, need)
            over = claims.promised_too_much(claims.inventory(tx, need.host).get(need.host, {}))
        if found is None:
            continue
        finding = findings.needed(found)
        LOG.warning("audit: %s; it is claimed now", finding.sentence)
        _warn(need.host, over)
        met.append(_made(finding, repaired=True))
    return met


def _occupied(deps: Deps, host: str) -> None:
    with deps.database.write() as tx:
        over = hosts.recount(tx, host, doubtful(deps))
    _warn(host, over)


def _warn(host: str, over: dict[str, int]) -> None:
    if over:
        LOG.warning("%s is %s; it gets no more servers", host, claims.too_much(over))


def _counts(deps: Deps, names: Collection[str] | None) -> list[objects.Finding]:
    with deps.database.read() as tx:
        wrong = sorted({finding.host for finding in findings.miscounted(tx, names)})
    found = []
    for host in wrong:
        with deps.database.write() as tx:
            found += findings.recount(tx, host)
    for finding in found:
        LOG.warning("audit: %s; counted anew", finding.sentence)
    return [_made(finding, repaired=True) for finding in found]


def _follow(deps: Deps, finding: findings.Finding) -> bool:
    """Write what a host says of a server's guest, unless the server has changed meanwhile."""
    server, power = finding.server, finding.power
    if server is None or power is None:
        return False
    try:
        with deps.database.write() as tx:
            servers.change(
                tx,
                server["uuid"],
                expect={"generation": server["generation"], "task_state": None},
                power_state=power,
                vm_state=findings.observed(server["vm_state"], states.Power(power)),
            )
    except errors.Conflict as decided:
        LOG.info("server %s: left as it is: %s", server["uuid"], decided)
        return False
    LOG.info("audit: %s", finding.sentence)
    return True


def _made(finding: findings.Finding, *, repaired: bool) -> objects.Finding:
    return objects.Finding(
        kind=finding.kind,
        host=finding.host,
        subject=finding.subject,
        sentence=finding.sentence,
        repaired=repaired,
    )


def _key(finding: objects.Finding) -> tuple[str, str, str]:
    return finding.kind, finding.host, finding.subject

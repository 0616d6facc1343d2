"""What must hold once a move is over, however it ended: on hosts, in records, in the guest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Iterator

from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds

PATIENCE = 30
OVER = "is over-promised"
SOON = 5  # seconds for what nobody waits for: a cast that removes the file of a check


def assert_settled(
    cloud: clouds.Cloud,
    guest: clouds.Guest,
    host: str,
    since: probe.Answer | None = None,
    *,
    shared: bool = False,
    within: float = SOON,
) -> None:
    """Fail unless this host alone runs, knows, keeps and holds room for a guest that ticks on.

    `since` is what the guest said before: it must be the same boot, and no tick
    earlier. On `shared` storage its files are seen from everywhere. Allocations are
    told apart by nothing but their host, so that no other move may be going on. A
    loser that could not be reached is clean `within` so many seconds.
    """
    with contextlib.suppress(AssertionError):
        waiting.until(
            lambda: not list(_wrong(cloud, guest, host, shared=shared)), "settled", within
        )
    wrong = list(_wrong(cloud, guest, host, shared=shared))
    assert not wrong, "; ".join(wrong)
    assert [] == _audited(cloud)
    _ticks(guest, since, lambda: cloud.console(host, guest.uuid))


def _wrong(cloud: clouds.Cloud, guest: clouds.Guest, host: str, *, shared: bool) -> Iterator[str]:
    """Say what is not as it must be."""
    shown = guest.show()
    facts: dict[str, tuple[object, object]] = {
        "runs on": ([host], cloud.running(guest.uuid)),
        "is known on": ([host], cloud.known(guest.uuid)),
        "is recorded on": (host, shown["OS-EXT-SRV-ATTR:host"]),
        "is": ("ACTIVE", shown["status"]),
        "has the task": (None, shown["OS-EXT-STS:task_state"]),
    }
    for each in clouds.HOSTS:
        files = [guest.uuid] if shared or each == host else []
        facts[f"has files on {each}"] = (files, cloud.files(each, guest.uuid))
        facts[f"is one of those that {each} has room for"] = (
            cloud.placed(each),
            cloud.allocations(each),
        )
    for what, (wanted, found) in facts.items():
        if wanted != found:
            yield f"{guest.uuid} {what} {found}, wanted {wanted}"


def _audited(cloud: clouds.Cloud) -> list[str]:
    """Give what an audit finds, once every host has told of the room that it has by now."""
    found: list[str] = []

    def told() -> bool:
        sentences = cloud.audit()
        found.extend(one for one in sentences if OVER not in one)
        return not any(OVER in one for one in sentences)

    waiting.until(told, "no host is over-promised", PATIENCE)
    return found


def _ticks(guest: clouds.Guest, since: probe.Answer | None, console: Callable[[], str]) -> None:
    """See the guest tick, and that it is the one it was."""
    now = probe.alive(guest.address, PATIENCE)
    waiting.until(
        lambda: probe.alive(guest.address, PATIENCE).tick > now.tick, "the guest ticks", PATIENCE
    )

    if since is not None:
        assert since.boot == now.boot, console()
        assert since.tick <= now.tick, console()

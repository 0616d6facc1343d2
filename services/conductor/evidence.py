"""What two hosts have of one guest, and what follows from it: a table, and words."""

from __future__ import annotations

from enum import auto
from enum import Enum
from typing import TYPE_CHECKING

from common import errors
from common import states

if TYPE_CHECKING:
    from common import objects

UNDONE = "undone"
COMPLETED = "completed"

ALIVE = frozenset({states.Power.RUNNING, states.Power.PAUSED})


class Standing(Enum):
    """What a host has of the guest, as far as it decides anything."""

    RUNS = auto()  # this very run of it, paused or not
    ABSENT = auto()  # nothing, or a definition that is shut off
    HALF = auto()  # the empty half of a move, or the half that post-copy left
    STRANGER = auto()  # a guest of its name from another run


# (source, destination): how the move is settled.
OUTCOMES: dict[tuple[Standing, Standing], str] = {
    (Standing.RUNS, Standing.ABSENT): UNDONE,
    (Standing.RUNS, Standing.HALF): UNDONE,
    (Standing.ABSENT, Standing.RUNS): COMPLETED,
}
BOTH = "it runs on both hosts; end neither before you know which of them its users talk to"
HALVED = "its memory is on both hosts, as post-copy leaves it; ending either half loses the guest"
NEITHER = (
    "neither host runs it; start it by hand on the one that has its disks and resolve again, or "
    "delete the server"
)
STRANGE = "a guest of its name runs that Whimbrel did not start last; find out whose it is"
INCOMPLETE = (
    "its memory has not all arrived, and the host that has the rest is forced down; that host is "
    "its only way back: bring it up, or delete the server"
)
BUSY = "the hypervisor is still moving it; wait for the end, and resolve again"
REFUSALS: dict[tuple[Standing, Standing], str] = {
    (Standing.RUNS, Standing.RUNS): BOTH,
    (Standing.HALF, Standing.RUNS): HALVED,
}


def judge(
    run_token: str, source: objects.GuestSeen, destination: objects.GuestSeen
) -> tuple[str | None, str]:
    """Say how the move of a guest of this run is settled: undone, completed, or None and why."""
    pair = (standing(run_token, source), standing(run_token, destination))
    busy = source.job or (destination.job and not source.asked)
    outcome = None if busy else OUTCOMES.get(pair)
    if outcome is not None:
        return outcome, ""
    if source.job:
        return None, BUSY
    if busy:
        return None, INCOMPLETE
    if Standing.STRANGER in pair:
        return None, STRANGE
    return None, REFUSALS.get(pair, NEITHER)


def standing(run_token: str, seen: objects.GuestSeen) -> Standing:
    """Say what a host has of the guest of this run."""
    if seen.power_state == states.Power.NOSTATE:
        return Standing.HALF
    if seen.power_state not in ALIVE:
        return Standing.ABSENT
    return Standing.RUNS if seen.run_token == run_token else Standing.STRANGER


def words(*every: objects.GuestSeen) -> str:
    """Say what each host has of a guest."""
    return "; ".join(map(_sentence, every))


def inputs(seen: objects.GuestSeen) -> dict[str, object]:
    """Give what was seen, for the journal."""
    return {name: getattr(seen, name) for name in seen.fields}


def silent(host: str, error: errors.Error) -> str:
    """Say what to do about a host that cannot tell what it has."""
    return (
        f"{host} cannot be asked for the guest: {error}; when that host never comes back, force "
        f"its service down and resolve again"
    )


def _sentence(seen: objects.GuestSeen) -> str:
    if not seen.asked:
        return f"{seen.host} was not asked, its compute service is forced down"
    if seen.power_state is None:
        return f"{seen.host} has nothing of it"
    power = states.Power(seen.power_state)
    told = "half of it" if power == states.Power.NOSTATE else f"it {power.name.lower()}"
    job = ", a migration job of it" if seen.job else ""
    return f"{seen.host} has {told}{job}, run {seen.run_token or 'unknown'}"

import itertools
from typing import Any

import pytest

from common import objects
from common import states
from services.conductor import evidence

RUN = "run"
Power = states.Power
# What a host may have: name, and the answer of its hypervisor.
HAS: dict[str, dict[str, Any]] = {
    "runs": {"power_state": Power.RUNNING, "run_token": RUN},
    "paused": {"power_state": Power.PAUSED, "run_token": RUN},
    "half": {"power_state": Power.NOSTATE, "run_token": RUN},
    "off": {"power_state": Power.SHUTDOWN, "run_token": RUN},
    "crashed": {"power_state": Power.CRASHED, "run_token": RUN},
    "nothing": {},
    "given up": {"asked": False},
    "stranger": {"power_state": Power.RUNNING, "run_token": "other"},
}
EMPTY = {"off", "crashed", "nothing", "given up"}
ALIVE = {"runs", "paused"}


def seen(host, name, **more):
    return objects.GuestSeen(host=host, **HAS[name], **more)


def wanted(source, destination):
    """Say it once more, in words instead of a table."""
    if source in ALIVE and destination in EMPTY | {"half"}:
        return "undone"
    if source in EMPTY and destination in ALIVE:
        return "completed"
    return None


@pytest.mark.parametrize(("source", "destination"), itertools.product(HAS, HAS))
def test_only_one_running_copy_decides(source, destination):
    """Every pair: a reason is given exactly when nothing is decided."""
    outcome, why = evidence.judge(RUN, seen("host1", source), seen("host2", destination))

    assert wanted(source, destination) == outcome
    assert bool(why) == (outcome is None)


@pytest.mark.parametrize(("source", "destination"), itertools.product(HAS, HAS))
def test_running_job_decides_nothing(source, destination):
    """What the hypervisor is still doing is not over."""
    outcome, why = evidence.judge(RUN, seen("host1", source, job=True), seen("host2", destination))

    assert (None, evidence.BUSY) == (outcome, why)


@pytest.mark.parametrize("source", HAS)
def test_memory_that_still_comes_is_no_whole_guest(source):
    """A source that cannot be asked may have the rest; one that was asked tells by itself."""
    outcome, why = evidence.judge(RUN, seen("host1", source), seen("host2", "runs", job=True))

    assert (source in EMPTY - {"given up"}) == (outcome == "completed")
    assert (source == "given up") == (why == evidence.INCOMPLETE)


@pytest.mark.parametrize(
    ("source", "destination", "why"),
    [
        ("runs", "paused", evidence.BOTH),
        ("half", "paused", evidence.HALVED),
        ("half", "half", evidence.NEITHER),
        ("off", "nothing", evidence.NEITHER),
        ("runs", "stranger", evidence.STRANGE),
    ],
)
def test_reason_fits_what_was_seen(source, destination, why):
    assert (None, why) == evidence.judge(RUN, seen("host1", source), seen("host2", destination))


def test_words_tell_each_host():
    """What a person needs who looks at both."""
    told = evidence.words(
        seen("host1", "half", job=True), seen("host2", "nothing"), seen("host3", "given up")
    )

    assert (
        "host1 has half of it, a migration job of it, run run; host2 has nothing of it; "
        "host3 was not asked, its compute service is forced down"
    ) == told

"""Busy guests under every policy on real QEMU: given up, brought over, pushed, stopped, changed.

All of them are on their way at once, so that it takes as long as the slowest; each
test looks at one. No outcome depends on how fast the machine is: the bandwidth is
far below what any machine copies, and the guest writes more than it lets through.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from typing import NamedTuple

import pytest
import requests

from deploy.lab import probe
from tests.integration import cloud as clouds
from tests.integration import labs
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

# MiB per second. QEMU without KVM loses pages that a guest writes fast while post-copy
# fetches them, whoever moves it: a guest that shall arrive writes gently.
DIRTY = 3
CAP = 2
# For what is pushed in its first pass, which lasts half a minute; the rest then comes soon.
PUSHED_CAP = 4
# Seconds: in GIVE_UP no tenth of a guest's memory goes over. In LONG_ENOUGH most of it
# does, so that the rest arrives in as long again, but no second pass is over.
GIVE_UP = 8
LONG_ENOUGH = 24
ENDLESS = 600
PATIENCE = 240


class Story(NamedTuple):
    """What happened to one guest."""

    guest: clouds.Guest
    before: probe.Answer
    move: dict[str, Any]
    answer: requests.Response | None = None


Scenario = Callable[[clouds.Guest], requests.Response | None]


def begin(guest: clouds.Guest, policy: str, bandwidth: int = CAP, **fields: object) -> None:
    """Order the move of a busy guest."""
    probe.ask(guest.address, f"dirty {DIRTY}", 30)
    guest.migrate("host2", policy={"policy": policy, "bandwidth": bandwidth, **fields})


def gives_up(guest: clouds.Guest) -> None:
    """Leave a gentle move to its timeout."""
    begin(guest, "gentle", completion_timeout=GIVE_UP)


def balances(guest: clouds.Guest) -> None:
    """Leave a balanced move to its timeout."""
    begin(guest, "balanced", PUSHED_CAP, completion_timeout=LONG_ENOUGH)


def must_finish(guest: clouds.Guest) -> None:
    """Leave a move that must finish to its timeout."""
    begin(guest, "must-finish", PUSHED_CAP, completion_timeout=LONG_ENOUGH, downtime_ms=300)


def aborts(guest: clouds.Guest) -> requests.Response:
    """Abort a move when a third is copied."""
    begin(guest, "gentle", completion_timeout=ENDLESS)
    return guest.abort(guest.moving(lambda progress: progress["percent"] >= 30))


def switches(guest: clouds.Guest) -> requests.Response:
    """Force a move whose policy allows post-copy."""
    return force(guest, post_copy="on-timeout")


def pauses(guest: clouds.Guest) -> requests.Response:
    """Force a move whose policy does not."""
    return force(guest, post_copy="never")


def force(guest: clouds.Guest, **fields: object) -> requests.Response:
    """Force a move as soon as it copies memory."""
    begin(guest, "balanced", PUSHED_CAP, on_timeout="abort", completion_timeout=ENDLESS, **fields)
    move = guest.moving(lambda progress: progress["iteration"] >= 1)
    return guest.steer(move, {"force_complete": None})


def changes(guest: clouds.Guest) -> requests.Response:
    """Free a move that does not converge."""
    begin(guest, "gentle", completion_timeout=ENDLESS)
    move = guest.moving(lambda progress: progress["iteration"] >= 1)
    return guest.steer(move, {"whimbrel:policy": {"bandwidth": 0, "downtime_ms": 2000}})


SCENARIOS: tuple[Scenario, ...] = (
    gives_up,
    balances,
    must_finish,
    aborts,
    switches,
    pauses,
    changes,
)


@pytest.fixture(scope="module")
def cloud(lab: labs.Lab) -> clouds.Cloud:
    """Give the lab with local disks."""
    return clouds.Cloud(lab)


@pytest.fixture(scope="module")
def stories(cloud: clouds.Cloud) -> Iterator[dict[Scenario, futures.Future[Story]]]:
    """Play every scenario at once, each with a guest of its own."""
    guests = cloud.boot_all([f"busy-{each.__name__.replace('_', '-')}" for each in SCENARIOS])
    with cloud.limits(len(SCENARIOS)), futures.ThreadPoolExecutor(len(SCENARIOS)) as pool:
        ended = {
            each: pool.submit(_play, each, guest)
            for each, guest in zip(SCENARIOS, guests, strict=True)
        }
        futures.wait(ended.values())
    yield ended
    for guest in guests:
        guest.delete()


def _play(scenario: Scenario, guest: clouds.Guest) -> Story:
    before = probe.alive(guest.address, 30)
    answer = scenario(guest)
    move = guest.moved(PATIENCE)
    probe.alive(guest.address, 60)
    probe.ask(guest.address, "dirty 0", 30)
    return Story(guest, before, move, answer)


def test_gentle_gives_up_in_time(cloud, stories):
    """A guest that writes too fast stays where it is when gentle's time is over."""
    story = stories[gives_up].result()

    assert "cancelled" == story.move["status"]
    assert "abort" == clouds.decisions(story.move)[-1]
    assert "not finished within 8 s" in story.move["error_message"]
    settled.assert_settled(cloud, story.guest, "host1", story.before)


@pytest.mark.parametrize("scenario", [balances, must_finish])
def test_busy_guest_arrives(cloud, stories, scenario):
    """What cannot converge is switched to post-copy when its time is over."""
    story = stories[scenario].result()

    assert ("completed", None) == (story.move["status"], story.move["error_message"])
    assert "post-copy" == clouds.decisions(story.move)[-1]
    settled.assert_settled(cloud, story.guest, "host2", story.before)


def test_abort_on_the_way(cloud, stories):
    """Aborted at a third, the guest stays and nothing is left at the destination."""
    story = stories[aborts].result()

    assert requests.codes.accepted == story.answer.status_code
    assert "cancelled" == story.move["status"]
    assert 30 <= story.move["progress"]["percent"] < 100
    settled.assert_settled(cloud, story.guest, "host1", story.before)


def test_forced_into_post_copy(cloud, stories):
    """Forced, a move ends by post-copy where its policy allows that."""
    story = stories[switches].result()

    assert requests.codes.accepted == story.answer.status_code
    assert ("completed", None) == (story.move["status"], story.move["error_message"])
    assert "post-copy" == clouds.decisions(story.move)[-1]
    settled.assert_settled(cloud, story.guest, "host2", story.before)


def test_forced_by_a_pause(cloud, stories):
    """Elsewhere it ends by a pause, much shorter than the limit of bandwidth would have it."""
    story = stories[pauses].result()
    (pause,) = (each for each in story.move["decisions"] if each["action"] == "pause")
    capped = pause["inputs"]["left"] / (PUSHED_CAP << 20)

    assert requests.codes.accepted == story.answer.status_code
    assert ("completed", None) == (story.move["status"], story.move["error_message"])
    assert _seconds(pause["at"], story.move["finished_at"]) < capped / 2
    settled.assert_settled(cloud, story.guest, "host2", story.before)


def test_running_move_is_changed(cloud, stories):
    """More bandwidth lets a move end that could not before."""
    story = stories[changes].result()

    assert story.answer.ok, story.answer.text
    assert ("completed", None) == (story.move["status"], story.move["error_message"])
    assert (0, 2000) == (story.move["policy"]["bandwidth"], story.move["policy"]["downtime_ms"])
    settled.assert_settled(cloud, story.guest, "host2", story.before)


def _seconds(began: str, ended: str) -> float:
    times = [datetime.datetime.fromisoformat(each) for each in (began, ended)]
    return (times[1] - times[0]).total_seconds()

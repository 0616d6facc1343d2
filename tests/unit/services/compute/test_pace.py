"""The pace of a copy: its bandwidth, its rate, its end by an abort, and how patient it is."""

import threading

import pytest

from common import clock
from common import errors
from services.compute import pace

MIB = pace.MIB


class Waiting(pace.Meter):
    """A meter whose waits move the held clock."""

    def __init__(self, held: clock.HeldClock, bandwidth: int) -> None:
        super().__init__(held, bandwidth, threading.Event())
        self._held = held
        self.longest = 0.0

    def _wait(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self._held.advance(seconds)


@pytest.mark.parametrize(("bandwidth", "seconds"), [(0, 0.0), (10, 3.0), (100, 0.3)])
def test_meter_keeps_to_its_bandwidth(bandwidth, seconds):
    """Thirty MiB take so long; without a bandwidth nobody waits."""
    meter = Waiting(clock.HeldClock(), bandwidth)

    for _ in range(30):
        meter.sent(MIB)

    assert seconds == pytest.approx(meter.seconds())
    assert 30 * MIB == meter.done


def test_meter_waits_in_short_turns():
    """So that an abort is heard within a second."""
    meter = Waiting(clock.HeldClock(), 1)

    meter.sent(60 * MIB)

    assert 1.0 == meter.longest


def test_slow_link_is_not_held_up():
    """Nobody waits who is behind his bandwidth."""
    held = clock.HeldClock()
    meter = Waiting(held, 10)
    held.advance(60)

    meter.sent(MIB)

    assert 0.0 == meter.longest


def test_aborted_meter_ends_the_copy():
    aborted = threading.Event()
    meter = pace.Meter(clock.HeldClock(), 0, aborted)
    aborted.set()

    with pytest.raises(errors.MoveAborted):
        meter.sent(1)

    assert 0 == meter.done


def test_pause_is_no_credit():
    """A copy that stood still catches up a second's worth; the rest keeps to its bandwidth."""
    held = clock.HeldClock()
    meter = Waiting(held, 10)
    meter.sent(10 * MIB)
    held.advance(60)
    since = held.monotonic()

    for _ in range(40):
        meter.sent(MIB)

    assert 3.0 == pytest.approx(held.monotonic() - since)


def test_what_was_over_takes_no_bandwidth():
    """What an earlier try has brought is counted, and not waited for."""
    meter = Waiting(clock.HeldClock(), 1)

    meter.sent(60 * MIB, over=True)

    assert (60 * MIB, 0.0) == (meter.done, meter.longest)


def test_rate_is_that_of_the_last_seconds():
    """What was before counts no more, neither a fast beginning nor a pause."""
    held = clock.HeldClock()
    meter = pace.Meter(held, 0, threading.Event())
    found = []
    for mib in [100] * 20 + [0] * 20 + [10] * 20:
        held.advance(1)
        meter.sent(mib * MIB)
        found.append(meter.rate() // MIB)

    assert [100, 0, 10] == [found[19], found[39], found[59]]
    assert 100 == found[0]


def test_rate_does_not_count_what_was_over():
    """A repeat that begins where the one before it ended is not fast."""
    held = clock.HeldClock()
    meter = pace.Meter(held, 0, threading.Event())

    meter.sent(100 * MIB, over=True)
    held.advance(1)

    assert 0 == meter.rate()


def test_nothing_is_known_of_the_rate_at_once():
    """No time, no rate."""
    meter = pace.Meter(clock.HeldClock(), 0, threading.Event())

    meter.sent(MIB)

    assert 0 == meter.rate()

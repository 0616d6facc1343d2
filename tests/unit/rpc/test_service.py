import threading

import pytest

from common import clock
from common import errors
from rpc import service

BOUND = 10


@pytest.fixture
def held():
    return clock.HeldClock()


def test_first_pause_is_a_random_part_of_the_heartbeat(held):
    """Hosts that start together report apart from then on, each at its own beat."""
    rhythm = service.Rhythm(10, lambda: 0.3, held)

    assert 0.0 == rhythm.rest()
    assert [3.0, 10.0, 10.0] == [after(rhythm, held, lost=False) for _ in range(3)]


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.5), (1.0, 1.5)])
def test_lost_report_is_sent_again_soon(held, chance, factor):
    """Not all at the same moment."""
    rhythm = service.Rhythm(10, lambda: chance, held)

    assert service.SOON * factor == after(rhythm, held, lost=True)


def test_hosts_that_lost_the_broker_together_part_again(held):
    rhythm = service.Rhythm(10, lambda: 0.5, held)
    after(rhythm, held, lost=False)
    after(rhythm, held, lost=True)

    assert [5.0, 10.0] == [after(rhythm, held, lost=False) for _ in range(2)]


def after(rhythm, held, *, lost):
    """Report when it is due, and give the pause that follows."""
    held.advance(rhythm.rest())
    rhythm.reported(lost=lost)
    return pytest.approx(rhythm.rest())


def test_wake_without_news_does_not_put_the_heartbeat_off(monkeypatch, held):
    """However often a host looks whether it has news, its heartbeat comes when it is due."""
    monkeypatch.setattr(service, "BURST", 0.0)
    stop, wake = threading.Event(), threading.Event()
    asked = []

    def report(due):
        asked.append(due)
        held.advance(4)
        wake.set()
        if len(asked) == 7:
            stop.set()
        return due

    service._beat(service.Rhythm(10, lambda: 1.0, held), report, stop, wake)

    assert [True, False, False, False, True, False, False] == asked


def test_lost_report_is_told_and_not_the_end(monkeypatch, held, caplog):
    monkeypatch.setattr(service, "BURST", 0.0)
    stop, wake = threading.Event(), threading.Event()
    failures = [errors.BusDown("the broker is away")]

    def report(due):
        wake.set()
        held.advance(5)
        if failures:
            raise failures.pop()
        stop.set()
        return due

    service._beat(service.Rhythm(10, lambda: 1.0, held), report, stop, wake)

    assert "a report of this service is lost: the broker is away" in caplog.text

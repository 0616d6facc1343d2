import pytest

from deploy.scale import guests
from deploy.scale import run
from deploy.scale import table


def span(**values):
    given = {
        "seconds": 60.0,
        "received": 12000,
        "delivered": 12100,
        "commits": 600,
        "rows": 300,
        "cpu": {"conductor": 20.0, "fleet1": 30.5},
        "memory": {"conductor": 100.0, "fleet1": 500.0},
        "connections": 1040,
        "queues": 2010,
    }
    return run.Span(**{**given, **values})


def result(**values):
    given = {
        "hosts": 1000,
        "parts": 1,
        "heartbeat": 10,
        "starting": 90.0,
        "quiet": span(),
        "silence": 10.4,
        "silence_all": 12.0,
        "down": 0,
        "looks": 60,
    }
    return run.Result(**{**given, **values})


def line(text, name):
    (found,) = [line for line in text.splitlines() if line.startswith(name)]
    return found


def test_messages_are_told_per_host_and_judged():
    """12000 messages in a minute of 1000 hosts are 0.2 a second and host: below one."""
    shown = table.text(result())

    assert "200.0/s in all, 0.200 a second and host (aim: below 1, reached)" in line(
        shown, "messages to the broker"
    )
    assert "missed" in table.text(result(quiet=span(received=60_000)))


def test_hosts_that_were_down_are_told():
    assert "none, in 60 looks" in line(table.text(result()), "hosts that were down")
    assert "3 at once" in line(table.text(result(down=3)), "hosts that were down")


def test_heartbeats_are_counted():
    kept, lost = result(reports=6000), result(reports=5998, missed=2, missing=1)

    assert "6000 heard, 6.0 of each host; 0 missed" in line(table.text(kept), "heartbeats")
    assert "5998 heard, 6.0 of each host; 2 missed, by 1 hosts" in line(
        table.text(lost), "heartbeats"
    )


def test_memory_of_the_fleet_is_shared_out():
    """500 MiB for 1000 hosts are 512 KiB each."""
    assert "512 KiB per host" in line(table.text(result()), "memory of the fleet")


def test_work_is_told_with_its_first_failures():
    moves = guests.Took(seconds=[1.0, 3.0], failures=["failed: no room"], wall=7.0)

    shown = table.text(result(busy=span(), builds=guests.Took([1.0], [], 2.0), moves=moves))

    assert "2 in 7 s, 1 failed; one took 2.0 s" in line(shown, "guests moved")
    assert "move failed: failed: no room" in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "expected"), [([], (0.0, 0.0)), ([2.0], (2.0, 2.0)), ([1.0, 3.0], (2.0, 2.9))]
)
def test_medians_of_few_are_told_too(seconds, expected):
    took = guests.Took(seconds, [], 1.0)

    assert expected == (took.middle, pytest.approx(took.slow))

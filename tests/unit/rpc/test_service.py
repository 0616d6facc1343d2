from rpc import service


def test_first_pause_is_a_random_part_of_the_heartbeat():
    """Hosts that start together report apart from then on, each at its own beat."""
    rhythm = service.Rhythm(10, lambda: 0.3)

    assert [3.0, 10, 10] == [rhythm.pause(lost=False) for _ in range(3)]


def test_lost_report_is_sent_again_soon():
    """Not all at the same moment, and never later than a heartbeat would be."""
    pauses = [service.Rhythm(10, lambda: chance).pause(lost=True) for chance in (0.0, 1.0)]  # noqa: B023 - called at once

    assert [service.SOON * 0.5, service.SOON * 1.5] == pauses


def test_hosts_that_lost_the_broker_together_part_again():
    rhythm = service.Rhythm(10, lambda: 0.5)
    rhythm.pause(lost=False)
    rhythm.pause(lost=True)

    assert [5.0, 10] == [rhythm.pause(lost=False) for _ in range(2)]

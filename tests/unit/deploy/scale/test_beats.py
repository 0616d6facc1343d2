import pytest

from deploy.scale import beats


def seen(*reports: float, end: float | None = None) -> beats.Beats:
    """Look at one host that has reported at these times, in seconds; a beat is due each ten."""
    found = beats.Beats(10)
    for count, at in enumerate(reports):
        found.see([beats.Report("host1", count, at)])
        found.see([beats.Report("host1", count, at)])
    found.end(reports[-1] if end is None else end)
    return found


@pytest.mark.parametrize(
    ("reports", "missed"),
    [
        ((0, 10, 20), 0),
        ((0, 10.3, 20.6, 30.9, 41.2, 51.5, 61.8), 0),
        ((0, 14, 28), 0),
        ((0, 20, 30), 1),
        ((0, 31, 41), 2),
        ((0, 2, 12), 0),
    ],
)
def test_what_did_not_come_in_time_is_missed(reports, missed):
    """Late ones do not add up, and those that come early owe nothing."""
    found = seen(*reports)

    assert (len(reports) - 1, missed) == (found.heard, found.missed)


@pytest.mark.parametrize(("end", "missed"), [(24, 0), (26, 1), (50, 3)])
def test_silence_at_the_end_counts(end, missed):
    assert missed == seen(0, 10, end=end).missed


def test_several_reports_between_two_looks_are_all_heard():
    found = beats.Beats(10)
    for count, at in ((1, 0.0), (4, 30.0)):
        found.see([beats.Report("host1", count, at), beats.Report("host2", 1, 0.0)])
    found.end(30.0)

    assert (3, 2, 1) == (found.heard, found.missed, found.hosts)

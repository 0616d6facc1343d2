"""How long a slot stands empty between two moves."""

import datetime

from tests.benchmarks import drain
from tests.benchmarks import figures

BEGIN = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - rows have no zone either


def row(start, end):
    """Make the row of a move that had a slot from one second to another."""
    stamps = [(BEGIN + datetime.timedelta(seconds=one)).isoformat() for one in (start, end)]
    step = {"step": drain.FIRST, "started_at": stamps[0]}
    return {
        "steps": [{"step": "select_destinations", "started_at": stamps[0]}, step],
        "finished_at": stamps[1],
    }


def test_free_slot_is_measured_until_the_next_start():
    """With two slots the third move starts after the first end, the fourth after the second."""
    rows = [row(0, 4), row(0, 5), row(4.5, 9), row(5.25, 9)]

    assert [500.0, 250.0] == drain.idle_slots(rows, 2)


def test_without_a_line_no_slot_waits():
    """When every move starts at once, no slot is ever filled again."""
    assert [] == drain.idle_slots([row(0, 4), row(0, 5)], 2)


def test_every_pair_is_compared():
    """One that the machine disturbed is seen."""
    ours, theirs = (
        figures.Figure("ours", "s", [6.0, 8.0]),
        figures.Figure("theirs", "s", [4.0, 2.0]),
    )

    found = {one.name: one.values for one in figures.pairs("ours / theirs", ours, theirs)}

    assert {
        "ours / theirs": [1.5, 4.0],
        "ours / theirs, pair 1": [1.5],
        "ours / theirs, pair 2": [4.0],
    } == found

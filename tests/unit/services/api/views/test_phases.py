import datetime

import pytest

from services.api.views import phases
from tests import factories

CHECK = "check_can_live_migrate_source"


def at(seconds: float) -> datetime.datetime:
    return factories.NOW + datetime.timedelta(seconds=seconds)


def move(status: str, ended: float | None = None, **values: object):
    given = {"created_at": at(0), "finished_at": None if ended is None else at(ended)}
    return factories.migration(**given, status=status, **values)


def steps(of, *rows: tuple[str, float, float | None]):
    """Give steps: name, when it began, when it ended or None."""
    return [
        factories.step(
            of,
            step=name,
            started_at=at(began),
            finished_at=None if ended is None else at(ended),
            state="started" if ended is None else "done",
        )
        for name, began, ended in rows
    ]


ARRIVED = (
    ("select_destinations", 0, 1),
    (CHECK, 1, 2),
    ("pre_live_migration", 5, 6.5),
    ("migrate", 6.5, 16),
    ("decide_set_downtime", 7, 7),
    ("post_live_migration_at_destination", 16, 16.25),
    ("leave_source", 16.25, 16.5),
)


def test_phases_of_a_move_that_arrived_make_up_the_total():
    """Each ends where the next begins."""
    arrived = move("completed", 17)

    found = phases.durations(arrived, steps(arrived, *ARRIVED), at(99))

    assert {
        "accepted": 2000,
        "queued": 3000,
        "preparing": 1500,
        "running": 9500,
        "post-migrating": 1000,
        "total": 17000,
    } == found


@pytest.mark.parametrize(
    ("status", "ended", "rows", "found"),
    [
        ("accepted", None, (), {"accepted": 8000, "total": 8000}),
        ("accepted", None, ARRIVED[:2], {"accepted": 8000, "total": 8000}),
        ("queued", None, ARRIVED[:2], {"accepted": 2000, "queued": 6000, "total": 8000}),
        ("cancelled", 4, ARRIVED[:2], {"accepted": 2000, "queued": 2000, "total": 4000}),
        (
            "failed",
            7,
            (
                *ARRIVED[:2],
                ("pre_live_migration", 5, 6),
                ("rollback_live_migration_at_destination", 6, 7),
            ),
            {
                "accepted": 2000,
                "queued": 3000,
                "preparing": 1000,
                "rolling-back": 1000,
                "total": 7000,
            },
        ),
    ],
)
def test_last_phase_ends_with_the_move_or_now(status, ended, rows, found):
    one = move(status, ended)

    assert found == phases.durations(one, steps(one, *rows), at(8))


def test_clocks_that_differ_make_no_negative_time():
    one = move("running")
    rows = steps(one, (CHECK, 1, 2), ("pre_live_migration", 1.5, 3), ("migrate", 3, None))

    found = phases.durations(one, rows, at(4))

    assert found is not None
    assert 0 == found["queued"]


def test_other_moves_have_no_phases():
    assert phases.durations(move("finished", type="resize"), [], at(1)) is None


@pytest.mark.parametrize(
    ("details", "reason", "inputs"),
    [
        (
            'iteration 2 allows 150 ms {"iteration": 2, "rate": 1.5}',
            "iteration 2 allows 150 ms",
            {"iteration": 2, "rate": 1.5},
        ),
        ("forced by an operator {}", "forced by an operator", {}),
        ("without numbers", "without numbers", {}),
        (None, None, {}),
    ],
)
def test_decisions_are_told_with_reason_and_numbers(details, reason, inputs):
    one = move("running")
    rows = [
        factories.step(one, step="migrate"),
        factories.step(one, step="decide_set_downtime", details=details),
    ]

    assert [
        {
            "action": "set_downtime",
            "at": "2026-01-01T00:00:00.000000",
            "reason": reason,
            "inputs": inputs,
        }
    ] == phases.decisions(rows)

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


def steps(of, *rows: tuple[str, float, float | None], host: str = "host2"):
    """Give steps of a host: name, when it began, when it ended or None."""
    return [
        factories.step(
            of,
            step=name,
            host=host,
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
# One destination has refused to make ready.
REFUSED = (
    (CHECK, 1, 2),
    ("pre_live_migration", 2, 2.5),
    ("rollback_live_migration_at_destination", 2.5, 3),
)
AGAIN = tuple((name, began + 3, ended + 3) for name, began, ended in ARRIVED)


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


def test_post_copy_is_a_phase():
    """Its guest runs at the destination, and waits now and then."""
    arrived = move("completed", 17)
    switched = ("switch_to_post_copy", 14, 14)

    found = phases.durations(arrived, steps(arrived, *ARRIVED, switched), at(99))

    assert found is not None
    assert (7500, 2000) == (found["running"], found["running (post-copy)"])
    assert found["total"] == sum(took for name, took in found.items() if name != "total")


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


@pytest.mark.parametrize(
    ("status", "ended", "rows", "found"),
    [
        ("accepted", None, (), {"accepted": 8000, "total": 8000}),
        ("queued", None, AGAIN[:2], {"accepted": 5000, "queued": 3000, "total": 8000}),
        (
            "completed",
            20,
            AGAIN,
            {
                "accepted": 5000,
                "queued": 3000,
                "preparing": 1500,
                "running": 9500,
                "post-migrating": 1000,
                "total": 20000,
            },
        ),
    ],
)
def test_phases_after_a_refusal_are_those_of_the_last_host(status, ended, rows, found):
    """Looking for another host is a part of `accepted`."""
    shown = move(status, ended)
    journal = [*steps(shown, *REFUSED), *steps(shown, *rows, host="host3")]

    assert found == phases.durations(shown, journal, at(8))


def test_clocks_that_differ_make_no_negative_time():
    one = move("running")
    rows = steps(one, (CHECK, 1, 2), ("pre_live_migration", 1.5, 3), ("migrate", 3, None))

    found = phases.durations(one, rows, at(4))

    assert found is not None
    assert 0 == found["queued"]


def test_move_that_was_never_written_has_no_phases():
    assert phases.durations(factories.migration(), [], at(1)) is None


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


MOVED = (
    ("prep_resize", 1, 3),
    ("resize_instance", 5, 15),
    ("finish_resize", 15.5, 17),
)


@pytest.mark.parametrize(
    ("status", "ended", "rows", "found"),
    [
        ("accepted", None, (), {"accepted": 99000}),
        ("pre-migrating", None, MOVED[:1], {"preparing": 2000, "waiting": 96000}),
        (
            "finished",
            None,
            MOVED,
            {
                "preparing": 2000,
                "waiting": 2000,
                "copying": 7000,
                "off": 3500,
                "finishing": 1500,
                "finished": 82000,
            },
        ),
        (
            "confirmed",
            22,
            (*MOVED, ("confirm_resize", 20, 22)),
            {"finishing": 1500, "finished": 3000, "confirming": 2000, "total": 22000},
        ),
        (
            "reverted",
            24,
            (*MOVED, ("revert_resize", 20, 21), ("finish_revert_resize", 21, 24)),
            {"finished": 3000, "reverting": 4000},
        ),
        (
            "failed",
            9,
            (MOVED[0], ("resize_instance", 5, None), ("undo_resize", 7, 8)),
            {"copying": 2000, "undoing": 2000, "total": 9000},
        ),
    ],
)
def test_phases_of_a_cold_move_tell_how_long_its_guest_was_off(status, ended, rows, found):
    """It is off from `off` to the end of `finishing`."""
    of = move(status, ended, type="resize", cold=factories.cold_move(off_ms=3000))

    told = phases.durations(of, steps(of, *rows), at(99))

    assert told is not None
    assert found == {name: told[name] for name in found}
    assert told["total"] == sum(took for name, took in told.items() if name != "total")

"""Counting a move's messages by what the broker hands over."""

import json

from tests.benchmarks import messages


def published(**values):
    """Make the body of one message, as oslo.messaging publishes it."""
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(values)})


def call(tap, method, request, number):
    """Publish a question and its answer."""
    tap.hear(published(method=method, _context_request_id=request, _msg_id=number))
    tap.hear(published(result=None, _msg_id=number))


def sums(tap, moves):
    """Give the median of each line."""
    return {one.name: one.values for one in messages.figures(tap.heard, moves)}


def test_answer_belongs_to_the_move_of_its_question():
    """A call counts twice, a cast once, and other people's messages not at all."""
    tap = messages.Tap()
    call(tap, "live_migrate", "req-1", "a")
    tap.hear(published(method="live_migration", _context_request_id="req-1"))
    call(tap, "report", "req-9", "b")
    found = sums(tap, 1)

    assert [2.0] == found["live_migrate"]
    assert [1.0] == found["live_migration"]
    assert [3.0] == found["all but progress"]
    assert [2.0] == found["of these asked, not answered"]
    assert "report" not in found


def test_progress_is_counted_apart():
    """Progress goes for all moves of a host, so it is shared among them."""
    tap = messages.Tap()
    call(tap, "live_migrate", "req-1", "a")
    call(tap, "live_migrate", "req-2", "b")
    tap.hear(published(method="move_progress", _context_request_id="req-3"))
    found = sums(tap, 2)

    assert [2.0, 2.0] == found["all but progress"]
    assert [0.5] == found["progress, for all moves of a host at once"]


def test_what_is_not_ours_is_left_out():
    """A body that no service of ours has made is not counted, and stops nothing."""
    tap = messages.Tap()
    for body in (b"\xff\xfe", "", "[]", published(result=1, _msg_id="unknown")):
        tap.hear(body)

    assert [] == tap.heard


def test_one_move_is_told_from_others():
    """What belongs to no move is left out with the other moves."""
    tap = messages.Tap()
    call(tap, "live_migrate", "req-1", "a")
    call(tap, "live_migrate", "req-2", "b")
    tap.hear(published(method="move_progress", _context_request_id="req-3"))

    found = {one.name: one.values for one in messages.only(tap.heard, "req-2")}

    assert {"live_migrate", "all but progress", "of these asked, not answered"} == set(found)
    assert [2.0] == found["all but progress"]

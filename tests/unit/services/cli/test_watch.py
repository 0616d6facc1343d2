import io

from common import states
from services.cli import api as apis
from services.cli import statuses
from services.cli import watch

MOVE = {"status": "running", "source_compute": "a", "dest_compute": "b"}


def test_the_statuses_that_end_are_the_products():
    """The CLI knows no other room, but must not wait for what is over."""
    assert {str(status) for status in states.TERMINAL} == statuses.ENDED


def test_percent_never_goes_back(api):
    """A report that arrives late does not lower what was shown."""
    answers = [{**MOVE, "progress": {"percent": percent}} for percent in (10, 60, 30)]
    ended = {**MOVE, "status": "failed"}
    api.answer("GET", "/os-migrations/m", *({"migration": each} for each in [*answers, ended]))
    seen = io.StringIO()

    watch.follow(apis.Api(api.url, None, None), "m", seen)

    assert [10, 60] == [int(line.split()[0]) for line in seen.getvalue().splitlines()]


def test_an_api_that_is_away_does_not_end_the_watch(api):
    """A restart of the API is waited for."""
    api.refuse("GET", "/os-migrations/m", 503, "not now")
    api.answer("GET", "/os-migrations/m", {"migration": {**MOVE, "status": "completed"}})

    ended = watch.follow(apis.Api(api.url, None, None), "m", io.StringIO())

    assert "completed" == ended["status"]


def test_lines_come_with_each_status_and_every_few_seconds():
    """A log file gets a line when something changed, and one now and then."""
    now = [0.0]
    seen = io.StringIO()
    lines = watch.Lines(seen, clock=lambda: now[0])

    for second, status in ((0, "preparing"), (1, "running"), (2, "running"), (5, "running")):
        now[0] = second
        lines.show({**MOVE, "status": status}, second)

    assert ["0", "1", "5"] == [line.split()[0] for line in seen.getvalue().splitlines()]


def test_facts_say_how_much_how_fast_how_long():
    """Bytes become what people read; what is not known is left out."""
    mib = 1024 * 1024
    state = {
        "memory_total": 128 * mib,
        "memory_remaining": 28 * mib,
        "disk_total": 0,
        "rate": 50 * mib,
        "eta_ms": 1400,
    }

    assert "memory 100/128 MiB, 50.0 MiB/s, 1 s left" == watch.facts({**MOVE, "progress": state})
    assert "" == watch.facts({**MOVE, "progress": None})


def test_facts_of_a_busy_guest_say_iteration_and_what_it_writes():
    state = {"iteration": 4, "dirty_rate": 3 * 1024 * 1024}

    assert "3.0 MiB/s written to, iteration 4" == watch.facts({**MOVE, "progress": state})


def test_facts_of_a_queued_move_are_its_place():
    move = {**MOVE, "status": "queued", "queue_position": 2}

    assert "number 2 in the queue" == watch.facts(move)


def test_facts_in_post_copy_say_where_the_guest_runs():
    move = {**MOVE, "status": "running (post-copy)", "progress": {"post_copy": True}}

    assert "the guest runs on b" == watch.facts(move)


def test_a_broken_link_is_told_at_once():
    """And again when it is mended, whatever the interval."""
    seen = io.StringIO()
    lines = watch.Lines(seen, clock=lambda: 1.0)
    move = {**MOVE, "status": "running (post-copy)"}

    for reason in (None, "the link to b broke", None):
        lines.show({**move, "error_message": reason}, 50)

    assert [False, True, False] == [
        "waiting: the link to b broke" in line for line in seen.getvalue().splitlines()
    ]


def test_the_last_fact_is_the_downtime():
    """What was copied matters no more once it is over."""
    ended = {**MOVE, "status": "completed", "downtime_ms": 12, "progress": {"memory_total": 9}}

    assert "downtime 12 ms" == watch.facts(ended)


def test_a_finished_move_says_why_it_is_not_confirmed():
    """What it waits for comes before how long it was off."""
    move = {**MOVE, "status": "finished", "cold": {"off_ms": 40}}

    assert "off 40 ms while it was copied" == watch.facts(move)
    assert "waiting: its guest is gone" == watch.facts(
        {**move, "error_message": "its guest is gone"}
    )

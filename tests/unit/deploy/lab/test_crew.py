"""Jobs run at once, and one failure ends them all."""

import threading

import pytest

from deploy.lab import crew
from deploy.lab import errors
from deploy.lab import waiting


def test_jobs_run_side_by_side():
    """Each of two jobs that wait for the other is there to be met."""
    meeting = threading.Barrier(2, timeout=10)

    def meet() -> None:
        meeting.wait()

    crew.Crew().run([meet, meet])

    assert not meeting.broken


def test_failure_ends_the_waits_of_others():
    """The error told is the first one, not that of a wait which it ended."""
    team = crew.Crew()
    ended = []

    def wait():
        try:
            waiting.until(lambda: False, 60, "nothing", team.called_off)
        except errors.CalledOff:
            ended.append("called off")
            raise

    def fail():
        raise errors.ProgramFailed("broken")

    with pytest.raises(errors.ProgramFailed, match="broken"):
        team.run([wait, fail])

    assert ["called off"] == ended


def test_wait_gives_what_it_found():
    values = iter([None, 0, "found"])

    assert "found" == waiting.until(lambda: next(values), 5, "a value")


def test_wait_has_an_end_and_says_for_what():
    with pytest.raises(errors.TooLate, match="a value: not within 0 s"):
        waiting.until(lambda: None, 0, "a value")

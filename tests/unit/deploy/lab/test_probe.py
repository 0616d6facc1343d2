"""The prober's report follows from what was heard, and when."""

import socket
import threading

import pytest

from deploy.lab import errors
from deploy.lab import probe

EPOCH = 1_700_000_000.0


def heard(*answers: tuple[str, int, float], until: float) -> probe.Report:
    """Give the report of answers (boot, tick, seconds) heard from second 0 to the given one."""
    record = probe.Record("198.51.100.130", 0.0, EPOCH)
    for boot, tick, when in answers:
        record.hear(probe.Answer(boot, tick, tick * 100, when))
    return record.close(until)


def test_longest_gap_lies_between_two_answers():
    report = heard(("a", 1, 0.1), ("a", 2, 0.2), ("a", 3, 0.7), ("a", 4, 0.8), until=0.8)

    assert 500.0 == report.longest_gap_ms
    assert EPOCH + 0.2 == report.longest_gap_began


def test_silence_at_the_end_is_a_gap():
    """A guest that never came back is not hidden by its last answer."""
    assert 1900.0 == heard(("a", 1, 0.1), until=2.0).longest_gap_ms


def test_guest_that_never_answered_was_silent_throughout():
    report = heard(until=3.0)

    assert (0, 3000.0, None) == (report.answered, report.longest_gap_ms, report.first_tick)


def test_first_answer_ends_no_gap():
    """What the guest did before it was first heard is not known."""
    assert 100.0 == heard(("a", 1, 2.0), ("a", 2, 2.1), until=2.1).longest_gap_ms


@pytest.mark.parametrize(
    ("second", "restarted"),
    [(("a", 6, 0.2), False), (("a", 5, 0.2), False), (("a", 1, 0.2), True), (("b", 9, 0.2), True)],
)
def test_lost_memory_shows(second, restarted):
    """A tick that went back, or another boot, is a restart; the same tick twice is none."""
    report = heard(("a", 5, 0.1), second, until=0.2)

    assert restarted == report.restarted


def test_restart_stays_noted():
    report = heard(("a", 5, 0.1), ("a", 1, 0.2), ("a", 2, 0.3), until=0.3)

    assert report.restarted


def test_missed_ticks_are_those_the_guest_did_not_live():
    report = heard(("a", 10, 0.0), ("a", 15, 1.0), until=1.0)

    assert 5 == report.missed_ticks


def test_gaps_are_noted_up_to_a_bound():
    answers = [("a", number, float(number)) for number in range(500)]

    report = heard(*answers, until=500.0)

    assert probe.NOTED_GAPS == len(report.gaps)


@pytest.mark.parametrize(
    "data", [b"", b"boot= tick=1 mono_ms=2", b"write=3 took_ms=4", b"\xff\xfe"]
)
def test_other_datagrams_are_no_answers(data):
    assert probe.parse(data, 1.0) is None


def test_answer_is_parsed():
    expected = probe.Answer("9ce0a677c7d20ba7", 12, 3400, 1.5)

    assert expected == probe.parse(b"boot=9ce0a677c7d20ba7 tick=12 mono_ms=3400\n", 1.5)


def test_guest_that_is_not_there_is_too_late():
    """A closed port refuses at once; that is an answer of the machine, not of a guest."""
    with pytest.raises(errors.TooLate, match=r"no answer from 127\.0\.0\.1"):
        probe.ask("127.0.0.1", "probe", 0.2, port=1)


def test_busy_guest_is_asked_again():
    """What it did not begin it is told once more, and no other command is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as guest:
        guest.bind(("127.0.0.1", 0))
        told: list[bytes] = []

        def answer() -> None:
            for words in (b"busy\n", b"sum=1\n"):
                heard, asker = guest.recvfrom(64)
                told.append(heard)
                guest.sendto(words, asker)

        thread = threading.Thread(target=answer)
        thread.start()
        answered = probe.ask("127.0.0.1", "sum 1", 5, guest.getsockname()[1])
        thread.join()

    assert "sum=1" == answered
    assert [b"sum 1"] * 2 == told

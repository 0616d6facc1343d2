"""A service's process is remembered, recognised, signalled and found again."""

import dataclasses
import os
import signal

import pytest

from deploy.lab import errors
from deploy.lab import processes
from deploy.lab import waiting

SLEEP = ["sleep", "600"]


@pytest.fixture
def root(tmp_path):
    """Have a lab's folder, and whatever was started under it ended."""
    yield tmp_path
    processes.end_all(tmp_path, set())


def begin(root):
    return processes.start(root, "host1", "compute", SLEEP, dict(os.environ))


def wait_for(record, state):
    return waiting.until(lambda: processes.state(record) == state, 5, state)


def test_started_process_is_remembered(root):
    record = begin(root)

    assert record == processes.recall(root, "host1", "compute")
    assert "running" == processes.state(record)


def test_killed_process_is_dead_before_it_is_reaped(root):
    """A zombie runs nothing, though its id still exists."""
    record = begin(root)
    processes.send(record, signal.SIGKILL)

    assert wait_for(record, "dead")


def test_stopped_process_is_told_apart(root):
    record = begin(root)
    processes.send(record, signal.SIGSTOP)

    assert wait_for(record, "stopped")


@pytest.mark.parametrize("change", [{"ticks": 1}, {"boot": "of another start"}])
def test_recycled_id_is_not_signalled(root, change):
    """The same id with another start time, or from before a restart, is someone else."""
    record = begin(root)
    other = dataclasses.replace(record, **change)

    processes.send(other, signal.SIGKILL)

    assert "dead" == processes.state(other)
    assert "running" == processes.state(record)


def test_never_started_is_a_state():
    assert "never started" == processes.state(None)


def test_damaged_record_is_none(root):
    path = processes.record_path(root, "host1", "compute")
    path.parent.mkdir()
    path.write_text('{"pid": ')

    assert processes.recall(root, "host1", "compute") is None


def test_end_all_finds_what_is_not_remembered(root):
    """A start that was interrupted before it could take a note leaves nothing running."""
    record = begin(root)
    processes.record_path(root, "host1", "compute").unlink()

    assert 1 == processes.end_all(root, set())
    assert "dead" == processes.state(record)


def test_end_all_finds_the_session_of_what_is_remembered(root):
    """A process without a mark, like one that just begins another program, is ended, too."""
    bare = ["env", "--ignore-environment", "sleep", "600"]
    record = processes.start(root, "host1", "compute", bare, {})
    environ = processes.PROC / str(record.pid) / "environ"
    waiting.until(lambda: environ.read_bytes() == b"", 5, "an empty environment")

    assert 1 == processes.end_all(root, set())
    assert wait_for(record, "dead")


def test_end_all_leaves_another_labs_processes(root, tmp_path_factory):
    record = begin(root)

    assert 0 == processes.end_all(tmp_path_factory.mktemp("other"), set())
    assert "running" == processes.state(record)


@pytest.mark.parametrize("word", ["KILL", "sigkill", "9"])
def test_signals_have_names_and_numbers(word):
    assert signal.SIGKILL == processes.parse_signal(word)


@pytest.mark.parametrize("word", ["FOO", "999", "", "-9"])
def test_unknown_signal_is_refused(word):
    with pytest.raises(errors.Unknown, match="use a name like"):
        processes.parse_signal(word)

import subprocess
import sys
import threading

import pytest

from services.compute import concurrency

SOON = 5

GREEN = """
import eventlet
eventlet.monkey_patch()
import threading
from services.compute import concurrency

original = eventlet.patcher.original("threading")
threads = concurrency.green(2)
entered, go = original.Event(), original.Event()
job = threads.start(lambda: (entered.set(), go.wait(5), original.get_ident())[-1])
other = threads.spawn(lambda: entered.wait(0) or True)
assert other.result() is True  # our own code runs although a native call blocks
while not entered.is_set():
    assert not job.wait(0.01)
go.set()
assert job.result() != original.get_ident()

# Two in the pool, and more than that of those that last: each in a thread of its own.
held = original.Event()
lasting = [threads.start(held.wait, 5) for _ in range(6)]
assert threads.native(lambda: 1) == 1
bell = threads.bell()
assert not bell.wait(0.01)
ringing = threads.start(lambda: [bell.ring() for _ in range(3)])
assert bell.wait(5)
ringing.result()
bell.wait(0)
assert not bell.wait(0)
bell.close()
bell.ring()
held.set()
assert all(one.result() for one in lasting)
try:
    threads.start(lambda: 1 // 0).result()
except ZeroDivisionError:
    print("green")
"""


def test_result_is_handed_over():
    """Of native calls, of jobs, and of our own code."""
    threads = concurrency.plain()

    assert 3 == threads.native(lambda a, b: a + b, 1, 2)
    assert 3 == threads.start(lambda a, b: a + b, 1, 2).result()
    assert 3 == threads.spawn(lambda a, b: a + b, 1, 2).result()


def test_error_is_handed_over():
    """It is raised where the result is wanted, whatever it is."""
    threads = concurrency.plain()

    def fail():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        threads.spawn(fail).result()
    with pytest.raises(ZeroDivisionError):
        threads.native(lambda: 1 // 0)


def test_wait_tells_whether_it_ended():
    """Waiting is bounded, and repeatable."""
    go = threading.Event()
    job = concurrency.plain().start(go.wait, SOON)

    assert not job.wait(0.01)
    go.set()
    assert job.wait(SOON)
    assert job.wait(0)
    assert job.result() is True


def test_bell_is_heard_once():
    """However often it was rung before."""
    bell = concurrency.plain().bell()

    assert not bell.wait(0.01)
    bell.ring()
    bell.ring()
    assert bell.wait(SOON)
    assert not bell.wait(0)


def test_native_calls_do_not_stop_greenthreads():
    """Under eventlet, in a process of its own, for its patching cannot be taken back."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GREEN],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ("green\n", "", 0) == (done.stdout, done.stderr, done.returncode)

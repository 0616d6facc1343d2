import os

import pytest

from services.compute.virt.libvirt import monitor


@pytest.fixture
def proc(tmp_path):
    """A process table with process 7, whose main thread can be put to wait."""
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    return tmp_path


def waits(proc, where, switches):
    thread = proc / "7" / "task" / "7"
    (thread / "wchan").write_text(where)
    (thread / "status").write_text(
        f"Name:\tqemu\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t9\n"
    )


@pytest.mark.parametrize("where", ["futex_do_wait", "futex_wait_queue_me", "handle_userfault"])
def test_main_thread_that_waits_is_told_by_its_switches(proc, where):
    waits(proc, where, 12)

    assert 12 == monitor.held(7, proc)


@pytest.mark.parametrize("where", ["poll_schedule_timeout.constprop.0", "0", ""])
def test_main_thread_at_work_is_not_held(proc, where):
    waits(proc, where, 12)

    assert monitor.held(7, proc) is None


def test_process_that_is_gone_is_not_held(proc):
    assert monitor.held(8, proc) is None


def test_this_process_is_readable():
    """Whatever it does just now, the kernel has these files."""
    assert monitor.held(os.getpid()) is None  # it runs, for it asks

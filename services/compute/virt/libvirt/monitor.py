"""Can QEMU answer libvirt: seen from outside, because asking would wait as long as it does.

A guest in post-copy that touches a page which is still to come may do so with
QEMU's one lock held. QEMU then answers nobody until the page is there, and
libvirt, whose `cont` it may be answering, lets nobody else near the guest.
"""

from __future__ import annotations

import re
from pathlib import Path

PROC = Path("/proc")
# What the kernel calls a thread's wait for a lock, and for a page of post-copy.
WAITS = ("futex", "handle_userfault")
SWITCHES = re.compile(r"^voluntary_ctxt_switches:\s*(\d+)", re.MULTILINE)


def held(pid: int, proc: Path = PROC) -> int | None:
    """Give a mark of the lock that QEMU's main thread waits for now; None when for none.

    Two equal marks mean that it has not moved in between.
    """
    thread = proc / str(pid) / "task" / str(pid)
    try:
        waits, status = (thread / "wchan").read_text(), (thread / "status").read_text()
    except OSError:
        return None
    found = SWITCHES.search(status)
    return int(found[1]) if found is not None and waits.startswith(WAITS) else None

"""Runs a daemon and takes the guests that it leaves behind off the process table at once.

libvirt hands each QEMU to the machine's first process and, when the guest has
ended, waits until it is reaped. Where that process is late, as in some
containers, every move and power-off would wait for it: for more than a second.
A subreaper (prctl(2)) between them is what a host's own init is elsewhere.
"""

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Run the command to its end and give its exit status; reap every orphan meanwhile."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    # The daemon is in the same process group, so it gets these itself.
    for number in FORWARDED:
        signal.signal(number, lambda _number, _frame: None)
    child = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=FORWARDED)
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The dead streams of a guest that waits for the rest of its memory, on the side that waits."""

from __future__ import annotations

from common import errors
from services.compute import native
from services.compute.virt.libvirt import monitor
from services.compute.virt.libvirt import streams

# Seconds without a byte after which a stream is dead.
SILENCE = 2.0


def let_go(pid: int, name: str, ports: range) -> int:
    """End the streams of a QEMU over which nothing goes; gives how many there were.

    WrongState, ending nothing, when QEMU cannot answer libvirt: only its old
    stream can bring the page that it waits for, once TCP takes it up again.
    """
    held, before = monitor.held(pid), streams.migrating(pid, ports)
    native.Queue[None]().get(SILENCE)
    silent = before & streams.migrating(pid, ports)
    if before and not silent:
        return 0
    if held is not None and held == monitor.held(pid):
        raise errors.WrongState(f"{name} {STUCK[bool(silent)]}")
    return streams.end(silent, pid)


STUCK = {
    True: "answers nobody until a page comes that is still on its way: "
    "TCP takes the old stream up again within two minutes",
    False: "answers nobody until a page comes that it waits for, and its stream is gone: "
    "libvirt cannot give it another one",
}

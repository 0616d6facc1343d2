"""The TCP streams of a move: is the destination there, and let go of a stream that is dead.

QEMU notices a link that went silent after a quarter of an hour; until then it
cannot be given a new one, and libvirt may wait for it with the guest's job
locked. The kernel can end a stream at once, and tells the other end if the link
is back.
"""

from __future__ import annotations

import re
import subprocess
from _socket import getaddrinfo
from _socket import SOCK_STREAM
from _socket import socket
from collections.abc import Iterable
from collections.abc import Iterator
from typing import NamedTuple

from oslo_log import log

LOG = log.getLogger(__name__)

# Where libvirt's daemons listen, by the scheme in which they talk to each other.
PORTS = {"tcp": 16509, "tls": 16514, "ssh": 22}
# libvirt gives incoming guests these ports unless qemu.conf says otherwise.
MIGRATION = range(49152, 49216)
LIMIT = 10.0
COUNTED = re.compile(r"\bbytes_(?:acked|received):(\d+)")
ADDRESS = re.compile(r"^(?:\[(?P<six>.+)\]|(?P<four>[^\[\]]+)):(?P<port>\d+)$")


class Stream(NamedTuple):
    """One connection: both ends as `ss` writes them, and the bytes that are known to be over."""

    local: str
    remote: str
    moved: int = 0

    def migrates(self, ports: range) -> bool:
        """Tell whether one of its ends is a port of incoming guests."""
        return any(_port(end) in ports for end in (self.local, self.remote))


def answers(address: str, scheme: str, timeout: float) -> bool:
    """Tell whether a host's libvirt can be reached; a refusal is no answer.

    The socket is the interpreter's own: in a process with green sockets
    this runs in a native thread.
    """
    try:
        found = getaddrinfo(address, PORTS[scheme], 0, SOCK_STREAM)
    except OSError:
        return False
    return any(_connects(family, kind, place, timeout) for family, kind, _n, _c, place in found)


def migrating(pid: int, ports: range) -> frozenset[Stream]:
    """Give the migration streams of a QEMU; two looks are equal when nothing went over between."""
    return frozenset(stream for stream in parse(_ss("-OHtnpi"), pid) if stream.migrates(ports))


def end(doomed: Iterable[Stream], pid: int) -> int:
    """End streams of a QEMU; gives how many there were."""
    ending = tuple(doomed)
    for stream in ending:
        LOG.info("ending the stream %s to %s of process %s", stream.local, stream.remote, pid)
        _ss("--kill", "-tn", "src", stream.local, "dst", stream.remote)
    return len(ending)


def parse(listing: str, pid: int) -> Iterator[Stream]:
    """Read the streams of one process out of what `ss -OHtnpi` prints."""
    for line in listing.splitlines():
        if f"pid={pid}," in line:
            words = line.split()
            yield Stream(words[3], words[4], sum(map(int, COUNTED.findall(line))))


def _connects(family: int, kind: int, place: tuple[object, ...], timeout: float) -> bool:
    trial = socket(family, kind)
    try:
        trial.settimeout(timeout)
        trial.connect(place)
    except OSError:
        return False
    finally:
        trial.close()
    return True


def _port(end: str) -> int:
    found = ADDRESS.match(end)
    return int(found["port"]) if found else 0


def _ss(*words: str) -> str:
    try:
        done = subprocess.run(
            ["ss", *words], check=False, capture_output=True, text=True, timeout=LIMIT
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        LOG.warning("ss %s: %s", " ".join(words), failed)
        return ""
    return done.stdout

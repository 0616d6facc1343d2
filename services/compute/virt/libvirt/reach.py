"""Can the source reach the destination: a connection to libvirt, and some to ports of QEMU's.

The destination listens on ports of the range that libvirt gives to incoming
guests, from its check until the test file is removed; the system accepts what
comes, nobody reads it. libvirt takes the lowest that is free, so that one is
tried, and the highest, as a firewall may end too soon. While another guest comes
in, libvirt may have given it the lowest and QEMU not have taken it yet: then
the highest alone is tried. Plain system sockets: these calls run in native threads.
"""

from __future__ import annotations

import _socket
import collections
from collections.abc import Iterator
from contextlib import contextmanager
from urllib import parse

from common import clock
from common import errors
from services.compute import native
from services.compute.virt.libvirt import streams
from services.compute.virt.libvirt import terms

TIMEOUT = 3.0
# Seconds after which a listener whose check was given up is closed.
FORGOTTEN = 120.0
REMEMBERED = 1000  # doors that were closed


class Doors:
    """The ports that listen for a source's try, each known by its check's test file."""

    def __init__(self, time: clock.Clock, ports: range = streams.MIGRATION) -> None:
        """Begin with none of these ports open."""
        self._ports = ports
        self._time = time
        self._lock = native.Lock()
        self._open: dict[str, tuple[float, list[_socket.socket]]] = {}
        self._closed: collections.OrderedDict[str, None] = collections.OrderedDict()

    def open(self, name: str, address: str, *, busy: bool = False) -> list[int]:
        """Listen where QEMU would, and give the ports; none when none is free.

        `busy` tells that a guest comes in. WrongState when it was closed already:
        its check comes too late.
        """
        now = self._time.monotonic()
        with self._lock:
            if name in self._closed:
                raise errors.WrongState(f"the check of {name} was given up before it ended")
            for old in [key for key, (since, _) in self._open.items() if now - since > FORGOTTEN]:
                _shut(self._open.pop(old)[1])
            if name not in self._open:
                ends = [self._ports[::-1]] if busy else [self._ports, self._ports[::-1]]
                made = [next(_listeners(address, end), None) for end in ends]
                self._open[name] = (now, [each for each in made if each is not None])
            return [int(each.getsockname()[1]) for each in self._open[name][1]]

    def close(self, name: str) -> None:
        """Listen no more, also if it is opened only later; a repeat is fine."""
        with self._lock:
            found = self._open.pop(name, None)
            self._closed[name] = None
            while len(self._closed) > REMEMBERED:
                self._closed.popitem(last=False)
        if found is not None:
            _shut(found[1])


def scheme(uri: str) -> str:
    """Give the scheme of a libvirt's address, as live_migration_scheme has it."""
    return parse.urlsplit(uri).scheme.removeprefix("qemu+")


def libvirt(uri: str) -> str:
    """Refuse a destination whose libvirt this host cannot connect to."""
    there = parse.urlsplit(uri)
    port = there.port or streams.PORTS[scheme(uri)]
    return _knock("libvirt", there.hostname or "", port)


def qemu(address: str, ports: list[int]) -> str:
    """Refuse a destination whose ports for incoming guests this host cannot connect to."""
    return "; ".join(_knock("ports for incoming guests", address, port) for port in ports)


def _knock(what: str, address: str, port: int) -> str:
    try:
        with _connected(address, port):
            return f"{address} port {port} answers ({what})"
    except OSError as error:
        raise errors.Unreachable(
            f"no connection to {address} port {port} ({what}): {error.strerror or error}; "
            "see that it runs, and that no firewall is between the hosts"
        ) from error


@contextmanager
def _connected(address: str, port: int) -> Iterator[None]:
    family, kind, protocol, _name, where = _socket.getaddrinfo(
        address, port, type=_socket.SOCK_STREAM
    )[0]
    made = _socket.socket(family, kind, protocol)
    try:
        made.settimeout(TIMEOUT)
        made.connect(where)
        yield
    finally:
        made.close()


def _listeners(address: str, ports: range) -> Iterator[_socket.socket]:
    """Every socket that could be made, in the order of the ports."""
    own = address if terms.numeric(address) else "0.0.0.0"
    family = _socket.AF_INET6 if ":" in own else _socket.AF_INET
    for port in ports:
        made = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            made.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            made.bind((own, port))
            made.listen(8)
        except OSError:
            made.close()
            continue
        yield made
        return


def _shut(made: list[_socket.socket]) -> None:
    for each in made:
        each.close()

"""What hosts of a lab say to each other over TCP, as anybody on their network hears it."""

from __future__ import annotations

import collections
import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deploy.lab.plan import LIBVIRT_PORT
from deploy.lab.plan import LIBVIRT_TLS_PORT

if TYPE_CHECKING:
    from deploy.lab.plan import Host

EVERYTHING = 0x0003  # ETH_P_ALL
ETHERNET = 14
IPV4 = b"\x08\x00"
TCP = 6
FRAME = 1 << 17
ROOM = 1 << 27
WAIT = 0.2
INCOMING = range(49152, 49216)
LISTENING = frozenset({LIBVIRT_PORT, LIBVIRT_TLS_PORT, *INCOMING})


class Wire:
    """Counts the bytes of each port, and looks for words among them, wherever a frame ends."""

    def __init__(self, hosts: list[Host], word: bytes) -> None:
        """Listen to the hosts' own talk only."""
        self._hosts = {socket.inet_aton(host.address) for host in hosts}
        self._word = word
        self._tails: dict[bytes, bytes] = {}
        self.bytes: collections.Counter[int] = collections.Counter()
        self.heard: set[int] = set()  # ports by which the word went

    def take(self, frame: bytes) -> None:
        """Take a frame in, if it is of TCP between hosts."""
        packet = frame[ETHERNET:]
        if frame[12:14] != IPV4 or packet[9] != TCP or not self._between(packet):
            return
        head = (packet[0] & 15) * 4
        (length,) = struct.unpack_from("!H", packet, 2)
        payload = packet[head + (packet[head + 12] >> 4) * 4 : length]
        ports = struct.unpack_from("!HH", packet, head)
        port = min((one for one in ports if one in LISTENING), default=min(ports))
        self.bytes[port] += len(payload)
        ends = packet[12:20] + packet[head : head + 4]
        text = self._tails.get(ends, b"") + payload
        if self._word in text:
            self.heard.add(port)
        self._tails[ends] = text[1 - len(self._word) :]

    def _between(self, packet: bytes) -> bool:
        return packet[12:16] in self._hosts and packet[16:20] in self._hosts


@contextlib.contextmanager
def tapped(hosts: list[Host], word: bytes) -> Iterator[Wire]:
    """Hear everything that passes the first host's link while the block lasts."""
    wire = Wire(hosts, word)
    stop = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        tap.bind((hosts[0].control_link, EVERYTHING))
        thread = threading.Thread(target=_listen, args=(tap, wire, stop))
        thread.start()
        try:
            yield wire
        finally:
            stop.set()
            thread.join()


def _listen(tap: socket.socket, wire: Wire, stop: threading.Event) -> None:
    while not stop.is_set():
        if select.select([tap], [], [], WAIT)[0]:
            wire.take(tap.recv(FRAME))

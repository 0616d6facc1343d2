import os
import socket

import pytest

from common import clock
from common import errors
from services.compute.virt.libvirt import reach
from services.compute.virt.libvirt import streams
from tests.factories import NOW

# Of this process alone: elsewhere somebody may have the port.
HERE = f"127.9.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


@pytest.fixture
def time():
    return clock.HeldClock(NOW)


@pytest.fixture
def doors(time):
    return reach.Doors(time)


def closed(port: int) -> bool:
    """Tell whether nothing listens there."""
    with socket.socket() as tried:
        return tried.connect_ex((HERE, port)) != 0


def test_a_check_has_the_first_free_port_and_the_last(time):
    """The one that libvirt would take, and where a firewall may have ended; always the same."""
    doors = reach.Doors(time, range(49000, 49006))

    assert [49000, 49005] == doors.open("a", HERE) == doors.open("a", HERE)
    assert [49001, 49004] == doors.open("b", HERE)
    assert all(not closed(port) for port in (49000, 49001, 49004, 49005))
    doors.close("a")
    doors.close("b")


def test_first_port_is_left_to_a_guest_that_comes_in(time):
    """libvirt may have chosen it already, and QEMU not have taken it."""
    doors = reach.Doors(time, range(49000, 49006))

    assert [49005] == doors.open("a", HERE, busy=True)
    doors.close("a")


def test_a_door_is_in_the_range_that_was_configured(time):
    """qemu.conf may have moved libvirt's ports; what is not free is not opened."""
    doors = reach.Doors(time, range(49000, 49003))

    assert [[49000, 49002], [49001], []] == [doors.open(name, HERE) for name in "abc"]
    for name in "abc":
        doors.close(name)


def test_a_closed_door_is_closed(doors):
    """A repeat is fine, and an unknown one too."""
    ports = doors.open("a", HERE)

    doors.close("a")
    doors.close("a")

    assert set(ports) <= set(streams.MIGRATION)
    assert all(closed(port) for port in ports)


def test_a_forgotten_door_is_closed_by_the_next(doors, time):
    """A cleanup that was lost keeps no port for ever."""
    ports = doors.open("a", HERE)
    time.advance(reach.FORGOTTEN + 1)

    again = doors.open("b", HERE)

    assert ports == again
    doors.close("b")


def test_no_free_port_is_none(doors):
    """An address that is not here cannot be listened at."""
    assert [] == doors.open("a", "203.0.113.1")


def test_every_port_is_tried(doors):
    """One that is closed refuses, though the other answers."""
    first, last = doors.open("a", HERE)

    assert f"{HERE} port {first} answers" in reach.qemu(HERE, [first, last])
    doors.close("a")
    with socket.create_server((HERE, last)), pytest.raises(errors.Unreachable, match=f"{first}"):
        reach.qemu(HERE, [last, first])


def test_libvirt_is_tried_where_its_uri_says():
    """The port of the scheme, or the one that is named; the reason has the number."""
    with socket.create_server((HERE, 0)) as listening:
        port = listening.getsockname()[1]
        assert f"port {port} answers" in reach.libvirt(f"qemu+tcp://{HERE}:{port}/system")

    with pytest.raises(errors.Unreachable, match=f"port {port} .*refused"):
        reach.libvirt(f"qemu+tcp://{HERE}:{port}/system")


def test_a_name_that_nobody_knows_is_unreachable():
    """What the resolver says is told."""
    with pytest.raises(errors.Unreachable, match=r"no connection to host\.invalid"):
        reach.qemu("host.invalid", [49215])

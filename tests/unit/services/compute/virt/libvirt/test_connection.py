import threading

import libvirt
import pytest

from common import errors
from common import states
from services.compute.virt.libvirt import connection
from services.compute.virt.libvirt import events

WAIT = 10
NOWHERE = "qemu+unix:///system?socket=/nowhere"


@pytest.fixture
def told():
    """Events with their loop running, as in compute."""
    found = events.Events()
    stopped = threading.Event()
    loop = threading.Thread(target=found.run, args=(stopped.is_set,))
    loop.start()
    yield found
    stopped.set()
    loop.join()


def test_lifecycle_comes_as_events(told, uri):
    """What happens to a guest is told with its power and libvirt's word."""
    link = connection.Connection(uri, told)
    domain = link.get().listAllDomains()[0]

    domain.suspend()
    domain.resume()
    domain.destroy()

    seen = [told.next(WAIT) for _ in range(3)]
    assert [
        (domain.UUIDString(), states.Power.PAUSED, "suspended"),
        (domain.UUIDString(), states.Power.RUNNING, "resumed"),
        (domain.UUIDString(), states.Power.SHUTDOWN, "stopped"),
    ] == seen
    link.close()


def test_no_event_is_none(told):
    """The wait ends in time."""
    assert told.next(0.01) is None


def test_waiter_hears_of_its_guest(told, uri):
    """Who waits for one guest gets a word for each event."""
    link = connection.Connection(uri, told)
    domain = link.get().listAllDomains()[0]
    with told.waiter(domain.UUIDString()) as news:
        domain.destroy()

        assert "stopped" == news.get(WAIT)
    link.close()


def test_connection_is_opened_once_and_again_when_lost(told, uri):
    """A living connection is kept; a closed one is replaced, and counted."""
    link = connection.Connection(uri, told)
    first = link.get()

    assert first is link.get()
    link.close()
    assert first is not link.get()
    assert 2 == link.opened
    link.close()


def test_nobody_there_is_a_hypervisor_error(told):
    """The sentence names the address."""
    with pytest.raises(errors.HypervisorError, match="connect to libvirt at qemu"):
        connection.Connection(NOWHERE, told).get()


def test_wait_gives_up_after_its_tries(told):
    """A limited wait ends with False."""
    assert not connection.Connection(NOWHERE, told).wait(1)


def test_close_ends_the_wait(told):
    """A service that is stopped while libvirt is away ends."""
    link = connection.Connection(NOWHERE, told)
    link.close()

    assert not link.wait()


def test_move_is_not_taken_for_a_stop(told, domain):
    """A guest that left by migration has no power of its own here."""
    stopped, migrated = (
        libvirt.VIR_DOMAIN_EVENT_STOPPED,
        libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED,
    )

    told._lifecycle(domain.connect(), domain, stopped, migrated, None)

    assert (domain.UUIDString(), states.Power.NOSTATE, "stopped by migration") == told.next(WAIT)

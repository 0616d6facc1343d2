import threading

import pytest

from common import errors
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


def test_waiter_hears_of_its_guest(told, uri):
    """Who waits for one guest gets a word for each event, and none when nothing happens."""
    link = connection.Connection(uri, told)
    domain = link.get().listAllDomains()[0]
    with told.waiter(domain.UUIDString()) as news:
        domain.suspend()
        domain.resume()
        domain.destroy()

        assert ["suspended", "resumed", "stopped"] == [news.get(WAIT) for _ in range(3)]
        assert news.get(0.01) is None
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

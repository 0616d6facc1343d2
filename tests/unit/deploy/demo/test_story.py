"""The story must not end well unless it is true."""

import pytest

from deploy.demo import errors
from deploy.demo import product
from deploy.demo import story
from deploy.demo import world

GUEST = story.Guest("u-1", "198.51.100.130")


class Told(world.World):
    """Hosts whose hypervisors say what the test has them say."""

    kind = "libvirt"

    def __init__(self, *running: str) -> None:
        self.hosts = ["host1", "host2"]
        self._running = list(running)

    def running(self, server):
        return self._running

    def wait_boot(self, server, address):
        raise NotImplementedError

    def listen(self, server, address):
        raise NotImplementedError


class Recorded(product.Product):
    """A product that records the server in one place."""

    def __init__(self, host: str, status: str) -> None:
        self._place = (host, status)

    def place(self, server: str) -> tuple[str, str]:
        return self._place


def heard(first, last, boot="b1", *, went_back=False):
    """What was heard of a guest while it moved."""
    return world.Heard([boot], first, last, went_back, 10.0)


def place(running, recorded, expected, status="ACTIVE"):
    """Compare the two views."""
    told = Told(*running)
    story.check_place(told, Recorded(recorded, status), story.Teller(), GUEST, expected)


def test_both_views_on_the_expected_host_are_believed(capsys):
    """One running copy, where the API has it, is what was promised."""
    place(["host2"], "host2", "host2")

    assert "on host2 according to libvirt, on host2 (ACTIVE)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("running", "recorded", "expected", "status"),
    [
        ([], "host2", "host2", "ACTIVE"),
        (["host1"], "host2", "host2", "ACTIVE"),
        (["host1", "host2"], "host2", "host2", "ACTIVE"),
        (["host2"], "host1", "host2", "ACTIVE"),
        (["host1"], "host1", "host2", "ACTIVE"),
        (["host2"], "host2", "host2", "ERROR"),
    ],
    ids=["nowhere", "hypervisor differs", "twice", "API differs", "did not move", "wrong status"],
)
def test_views_that_differ_end_the_story(running, recorded, expected, status):
    """Whichever of the two is wrong, the demo fails."""
    with pytest.raises(errors.Untrue):
        place(running, recorded, expected, status)


def test_one_boot_with_rising_ticks_kept_its_memory():
    """What was heard on the way there goes on on the way back."""
    story.check_memory([heard(10, 40), heard(41, 70)])


@pytest.mark.parametrize(
    "listened",
    [
        [heard(10, 40), heard(41, 70, boot="b2")],
        [heard(10, 40), heard(5, 30)],
        [heard(10, 40, went_back=True), heard(41, 70)],
        [heard(10, 10), heard(10, 10)],
    ],
    ids=["booted again", "began anew", "went back", "stood still"],
)
def test_a_guest_that_lost_its_memory_ends_the_story(listened):
    """Another boot, or a tick that is not later, is no live migration."""
    with pytest.raises(errors.Untrue):
        story.check_memory(listened)

import inspect

import pytest

from rpc import compute
from rpc import conductor
from rpc import interface
from rpc import scheduler

MINUTES = 120  # seconds


class Echo(interface.Interface):
    TOPIC = "echo"
    VERSION = "1.1"

    @interface.call(since="1.0", timeout=5)
    def say(self, context, words: str):
        """Give the words back."""

    @interface.cast(since="1.1")
    def note(self, context, words: str):
        """Remember the words."""

    def helper(self):
        """Is no RPC method."""


class Parrot(Echo):
    def say(self, context, words):
        return words

    def note(self, context, words):
        """Forget them."""


def test_methods_are_those_declared():
    """A manager has the methods of its interface, with all that was said of them."""
    found = interface.methods(Parrot)

    assert {"say", "note"} == found.keys()
    assert ("say", True, "1.0", 5) == found["say"][:4]
    assert ("note", False, "1.1", 0) == found["note"][:4]


def test_manager_without_a_method_cannot_start():
    """The missing name is told at the start, not when the first message comes."""

    class Mute(Echo):
        def say(self, context, words):
            return words

    with pytest.raises(TypeError, match="note"):
        Mute()


def test_fingerprint_changes_with_a_signature():
    """An argument more, another time: the lock sees it."""

    class Other(Echo):
        @interface.call(since="1.0", timeout=6)
        def say(self, context, words: str, *, loud: bool = False):
            """Give the words back, loudly."""

    before, after = interface.fingerprint(Echo), interface.fingerprint(Other)

    assert before[0] == after[0]
    assert before[1] != after[1]
    assert "loud" in after[1]
    assert after[1].endswith("call since 1.0 timeout 6")


def test_monitor_is_part_of_the_fingerprint():
    """A server that gives no signs of life must not be asked for them unseen."""

    class Other(Echo):
        @interface.call(since="1.0", timeout=5, monitor=2)
        def say(self, context, words: str):
            """Give the words back."""

    assert interface.fingerprint(Other)[1].endswith("call since 1.0 timeout 5 monitor 2")


@pytest.mark.parametrize("kind", [compute.Compute, conductor.Conductor, scheduler.Scheduler])
def test_nobody_waits_for_minutes_without_a_sign_of_life(kind):
    """The bus sends these no more often than once a second, so a monitor is 2 s or more."""
    long = [method for method in interface.methods(kind).values() if method.timeout >= MINUTES]

    assert [] == [method.name for method in long if not 2 <= method.monitor < MINUTES]


def test_large_disk_has_time_to_be_summed_up():
    """A disk of 1 TiB of which a slow host reads 50 MiB a second; a host that dies is noticed."""
    landed = interface.methods(compute.Compute)["landed"]

    assert landed.monitor
    assert landed.timeout > (1 << 40) / (50 << 20)


@pytest.mark.parametrize("kind", [compute.Compute, conductor.Conductor, scheduler.Scheduler])
def test_every_method_is_documented_and_takes_the_context_first(kind):
    """What crosses the bus says who asked; a docstring says what is promised."""
    for name, method in interface.methods(kind).items():
        parameters = list(method.signature.parameters)

        assert ["self", "context"] == parameters[:2], name
        assert inspect.getdoc(getattr(kind, name)), name
        assert method.waits == (method.timeout > 0), name

import threading

import pytest

from common import context
from services.compute import turns as module
from services.compute.turns import Turns
from tests import factories

SOON = 5


@pytest.fixture
def turns():
    return Turns()


def take(turns, server, operation="stop", generation=1):
    return turns.take(context.admin(), server.replace(generation=generation), operation)


def test_repeat_is_not_given_a_turn(turns):
    """Neither while it goes on nor when it is done."""
    server = factories.instance()
    turn = take(turns, server)

    assert take(turns, server) is None
    turns.end(turn)
    assert take(turns, server) is None
    assert take(turns, server, generation=2) is not None


def test_late_message_is_not_given_a_turn(turns):
    """Something newer was done since."""
    server = factories.instance()
    turns.end(take(turns, server, "start", generation=5))

    assert take(turns, server, "stop", generation=3) is None


def test_newer_wish_for_the_same_is_met_by_the_same_end(turns):
    """The report answers whoever asked last."""
    server = factories.instance()
    turn = take(turns, server, "delete", generation=1)

    assert take(turns, server, "delete", generation=2) is None
    assert take(turns, server, "delete", generation=1) is None
    assert 2 == turn.instance.generation
    turns.end(turn)
    assert take(turns, server, "delete", generation=2) is None


def test_other_work_waits_for_its_turn(turns):
    """It is neither dropped nor done at the same time."""
    server = factories.instance()
    turn = take(turns, server, "stop", generation=1)
    got = []
    thread = threading.Thread(target=lambda: got.append(take(turns, server, "start", generation=2)))
    thread.start()

    thread.join(0.05)
    assert [] == got
    turns.end(turn)
    thread.join(SOON)
    assert ["start"] == [turn.operation for turn in got]


def test_servers_do_not_wait_for_each_other(turns):
    assert take(turns, factories.instance()) is not None
    assert take(turns, factories.instance()) is not None


def test_memory_is_bounded(turns, monkeypatch):
    """The oldest is forgotten first."""
    monkeypatch.setattr(module, "REMEMBERED", 2)
    first, *others = (factories.instance() for _ in range(3))
    for server in (first, *others):
        turns.end(take(turns, server))

    assert take(turns, first) is not None
    assert [None, None] == [take(turns, server) for server in others]

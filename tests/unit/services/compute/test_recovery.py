"""How a broken post-copy is tried again; real ones are broken in tests/integration."""

from types import SimpleNamespace

import pytest

from common import context
from common import errors
from common import objects
from common import states
from services.compute import recovery
from tests import factories

DATA = objects.LibvirtLiveMigrateData(
    migration_uuid="m", destination_address="host2", is_shared=False, block_migration=True
)


class Stage:
    """Both hosts of a broken move, of paper; `calls` is what was done, in order."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.away = 0  # looks for which the destination is not there
        self.refusal: errors.Error | None = None
        self.seen: objects.GuestSeen | errors.Error = objects.GuestSeen(host="host2")
        peer = SimpleNamespace(let_go_live_migration=self.let_go, observe_guest=self.observe)
        deps = SimpleNamespace(
            driver=SimpleNamespace(reaches=self.reaches, recover="recover"),
            threads=SimpleNamespace(
                native=lambda act, *values: act(*values),
                alone=lambda act, *values: act(*values),
                start=lambda act, *_values: self.calls.append(act),
            ),
            peer=lambda host: {"host2": peer}[host],
        )
        self.mending = recovery.Recovery(
            deps,  # type: ignore[arg-type] # of paper
            context.admin(),
            factories.instance(run_token="this"),
            factories.migration(destination="host2", data=DATA),
        )

    def reaches(self, _data):
        self.away -= 1
        return self.away < 0

    def let_go(self, _context, _instance, _migration):
        self.calls.append("let go")
        if self.refusal is not None:
            raise self.refusal

    def observe(self, _context, _instance):
        if isinstance(self.seen, errors.Error):
            raise self.seen
        return self.seen


@pytest.fixture
def stage(monkeypatch):
    made = Stage()
    monkeypatch.setattr(recovery, "_sleep", made.calls.append)
    return made


def test_tries_become_rarer(stage):
    """And never rarer than the last of the table."""
    for _try in range(len(recovery.AGAIN) + 2):
        stage.mending.wait()

    assert [*recovery.AGAIN, recovery.AGAIN[-1], recovery.AGAIN[-1]] == stage.calls


def test_link_that_is_away_is_waited_for(stage):
    """Without counting tries: it may take hours."""
    stage.away = 5

    stage.mending.wait()

    assert [recovery.AGAIN[0], *5 * [recovery.LOOK]] == stage.calls


def test_destination_lets_go_before_the_source_goes_on(stage):
    stage.mending.begin(factories.policy())

    assert ["let go", "recover"] == stage.calls


def test_destination_that_would_lose_stops_the_try(stage):
    """Its old stream is the only one that can bring the page that it waits for."""
    stage.refusal = errors.WrongState("it answers nobody")

    with pytest.raises(errors.WrongState, match="nobody"):
        stage.mending.begin(factories.policy())
    assert ["let go"] == stage.calls


def test_destination_that_cannot_be_asked_stops_nothing(stage):
    """It may have noticed by itself."""
    stage.refusal = errors.NoAnswer("host2 did not answer")

    stage.mending.begin(factories.policy())

    assert ["let go", "recover"] == stage.calls


@pytest.mark.parametrize(
    ("seen", "arrived"),
    [
        ({"power_state": states.Power.RUNNING, "run_token": "this"}, True),
        ({"power_state": states.Power.RUNNING, "run_token": "this", "job": True}, False),
        ({"power_state": states.Power.RUNNING, "run_token": "another"}, False),
        ({"power_state": states.Power.NOSTATE, "run_token": "this"}, False),
        ({"power_state": None}, False),
    ],
)
def test_guest_that_runs_whole_over_there_has_arrived(stage, seen, arrived):
    """The link broke behind it; one whose memory still comes, or of another run, has not."""
    stage.seen = objects.GuestSeen(host="host2", **seen)

    assert arrived == stage.mending.arrived()


def test_destination_that_cannot_be_asked_has_nothing(stage):
    """The move is then tried again as before."""
    stage.seen = errors.Unavailable("host2 does not answer")

    assert not stage.mending.arrived()

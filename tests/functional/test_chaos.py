"""Whatever is asked at once and whatever fails in between: what must hold holds afterwards."""

import random
import threading

import pytest

from common import context
from common import errors
from common import states
from tests import invariants
from tests import stage as stages
from tests import waiting

# What may fail without leaving anything that a person must remove.
METHODS = (
    "build",
    "power_on",
    "power_off",
    "pause",
    "unpause",
    "check_destination",
    "check_source",
    "prepare",
    "migrate",
    "job",
    "abort",
)
FAULTS = (
    errors.HypervisorError("planted"),
    errors.NoAnswer("planted"),
    errors.IncompatibleCpu("planted"),
    ZeroDivisionError("planted"),
)
USERS = 4
WISHES = 8


class User(threading.Thread):
    """Asks for one thing after the other, and takes every refusal for an answer."""

    def __init__(self, stage: stages.Stage, servers: list[str], seed: int) -> None:
        super().__init__(daemon=True)
        self._stage = stage
        self._servers = servers
        self._random = random.Random(seed)
        self.surprises: list[BaseException] = []

    def run(self) -> None:
        for _ in range(WISHES):
            wish = self._random.choice([self.migrate, self.migrate, self.operate, self.abort])
            self.plant()
            try:
                wish(self._random.choice(self._servers))
            except errors.RemoteError as unexpected:
                if "planted" not in str(unexpected) and "failed unexpectedly" not in str(
                    unexpected
                ):
                    self.surprises.append(unexpected)
            except errors.Error:
                pass
            except Exception as surprise:  # noqa: BLE001 - the test tells of it
                self.surprises.append(surprise)

    def plant(self) -> None:
        if self._random.random() < 0.4:
            self._stage.world.plant(
                self._random.choice(stages.HOSTS),
                self._random.choice(METHODS),
                self._random.choice(FAULTS),
            )

    def migrate(self, server: str) -> None:
        host = self._random.choice([None, *stages.HOSTS])
        self._stage.migrate(server, host, wait=self._random.random() < 0.5)

    def operate(self, server: str) -> None:
        operation = self._random.choice(sorted(states.OPERATIONS.keys() - {"delete"}))
        self._stage.conductor.operate(context.admin(), server, operation)

    def abort(self, server: str) -> None:
        for move in self._stage.moves():
            if move.instance_uuid == server and move.status not in states.TERMINAL:
                self._stage.conductor.abort_migration(context.admin(), server, move.uuid)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_in_a_crowd(stage, seed):
    """Four users, five servers, faults everywhere; the limits hold all the time."""
    servers = [stage.boot(size, requested_host=None).uuid for size in (64, 64, 128, 300, 300)]
    users = [User(stage, servers, 10 * seed + number) for number in range(USERS)]

    with invariants.Watch(stage) as watch:
        for user in users:
            user.start()
        for user in users:
            user.join()
        waiting.until(
            lambda: all(stage.server(server).task_state is None for server in servers),
            "all is over",
        )

    assert [] == [surprise for user in users for surprise in user.surprises]
    assert 2 >= max([0, *watch.most_out.values(), *watch.most_in.values()])
    for percents in watch.percents.values():
        assert sorted(percents) == percents
    invariants.hold(stage)

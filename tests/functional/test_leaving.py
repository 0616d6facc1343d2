"""Guests that leave a host at once, for hosts that differ in what they have too little of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest

from common import states
from common.db import claims
from tests import factories
from tests import stage as stages

GB = 1024
# Free memory falls while free processors rise.
FALLING = {
    f"h{number:02}": {
        "simulated.memory_mb": (110 - 10 * number) * GB,
        "simulated.vcpus": 5 * number,
        "compute.reserved_host_memory_mb": 0,
    }
    for number in range(1, 11)
}
FAST: Any = {"simulated.rate": 1000000.0}
START = {"start": {"simulated.memory_mb": 200 * GB, "simulated.vcpus": 64}}


@pytest.fixture(scope="module")
def falling(tmp_path_factory) -> Iterator[stages.Stage]:
    """Ten hosts beside the one where ten guests are."""
    with stages.running(
        tmp_path_factory.mktemp("falling"),
        hosts=("start", *FALLING),
        each={**START, **FALLING},
        **FAST,
    ) as stage:
        yield stage


@pytest.fixture
def ten(falling) -> Iterator[list[str]]:
    """Boot ten guests of one processor and 8 GB at once."""
    flavor = factories.flavor(memory_mb=8 * GB, vcpus=1)
    made = [falling.create(flavor=flavor, requested_host="start").uuid for _ in range(10)]
    for uuid in made:
        assert states.Vm.ACTIVE == falling.idle(uuid).vm_state
    yield made
    falling.clear()


def within(stage: stages.Stage) -> bool:
    """Tell whether no host has promised more than it can."""
    with stage.database.read() as tx:
        found = claims.inventory(tx)
        summed = claims.usage(tx)
    return all(
        amount.free >= 0 and summed.get(host, {}).get(kind, 0) == amount.used
        for host, amounts in found.items()
        for kind, amount in amounts.items()
    )


def move_all(stage: stages.Stage, servers: list[str]) -> list[str]:
    """Order all of the moves at once, and give how each ended."""
    with futures.ThreadPoolExecutor(len(servers)) as pool:
        begun = list(pool.map(lambda uuid: stage.migrate(uuid, wait=False), servers))
    return [stage.ended(uuid).status for uuid in begun]


def test_ten_guests_move_at_once(falling, ten):
    """Memory says one host, processors another: everybody finds a place all the same."""
    ended = move_all(falling, ten)

    assert ["completed"] * 10 == ended
    places = [falling.idle(uuid) for uuid in ten]
    assert {"active"} == {place.vm_state for place in places}
    assert "start" not in {place.host for place in places}
    assert within(falling)


def test_with_room_for_one_the_others_stay(falling, ten):
    """They are as they were, and each knows why."""
    for host in list(FALLING)[:-1]:
        falling.mark(host, disabled=True)

    ended = move_all(falling, ten)

    assert ["completed"] + ["failed"] * 9 == sorted(ended)
    after = [falling.idle(uuid) for uuid in ten]
    assert {("active", None)} == {(one.vm_state, one.task_state) for one in after}
    assert ["h10"] + ["start"] * 9 == sorted(str(one.host) for one in after)
    assert within(falling)
    for move in falling.moves()[-10:]:
        if move.status == states.Move.FAILED:
            assert {"RamFilter", "claim"} & {one["filter"] for one in move.reasons["h10"]}

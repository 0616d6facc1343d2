"""Ten guests leave a host at the same time, the cold way: each finds room, or stays."""

from __future__ import annotations

from typing import Any

import pytest

from common import errors
from common import states
from common.db import claims
from tests import factories
from tests import invariants
from tests import races
from tests import stage as stages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

GUESTS = 10
SMALL = factories.flavor(id="one", name="one", vcpus=1, memory_mb=100)
EXACT = {
    "compute.reserved_host_memory_mb": 0,
    "compute.ram_allocation_ratio": 1.0,
    "compute.cpu_allocation_ratio": 1.0,
}


def sized(vcpus: int, guests: int) -> dict[str, Any]:
    """Give the options of a host with so many processors, and memory for so many guests."""
    memory = guests * SMALL.memory_mb
    return {**EXACT, "simulated.vcpus": vcpus, "simulated.memory_mb": memory}


def leave(stage: stages.Stage) -> tuple[list[str], list[str]]:
    """Have ten guests leave `full` at the same time; give servers and moves."""
    servers = [stage.boot(flavor=SMALL, requested_host="full").uuid for _ in range(GUESTS)]
    moves = races.race(
        lambda number: stage.relocate(servers[number], auto_confirm=True, wait=False), GUESTS
    )
    for move in moves:
        stage.ended(move)
    return servers, moves


def over(stage: stages.Stage) -> list[str]:
    """Name the hosts that have promised more than they have."""
    with stage.database.read() as tx:
        found = claims.inventory(tx)
    return [
        host for host, kinds in found.items() if any(amount.free < 0 for amount in kinds.values())
    ]


def test_ten_guests_at_once_find_ten_hosts_of_every_shape(tmp_path):
    """Free memory falls from host to host while free processors rise; nobody ends in ERROR."""
    shapes = {f"host{number}": sized(number + 1, GUESTS - number) for number in range(10)}
    each = {"full": sized(GUESTS, GUESTS), **shapes}
    with stages.running(tmp_path, hosts=tuple(each), each=each) as stage:
        servers, moves = leave(stage)

        assert {states.Move.CONFIRMED} == {stage.move(move).status for move in moves}
        found = [stage.idle(server) for server in servers]
        assert {states.Vm.ACTIVE} == {server.vm_state for server in found}
        assert "full" not in {server.host for server in found}
        assert [] == over(stage)
        invariants.hold(stage)


def test_ten_guests_at_once_want_the_room_of_one(tmp_path):
    """One moves; the others are as they were, and each says why."""
    each = {"full": sized(GUESTS, GUESTS), "narrow": sized(1, GUESTS)}
    with stages.running(tmp_path, hosts=tuple(each), each=each) as stage:
        servers, moves = leave(stage)

        ended = [stage.move(move).status for move in moves]
        assert (1, GUESTS - 1) == (
            ended.count(states.Move.CONFIRMED),
            ended.count(states.Move.FAILED),
        )
        stayed = [server for server in map(stage.idle, servers) if server.host == "full"]
        assert GUESTS - 1 == len(stayed)
        assert {states.Vm.ACTIVE} == {server.vm_state for server in stayed}
        assert {errors.NoValidHost.code} == {server.fault_code for server in stayed}
        assert all("narrow" in str(server.fault_reasons) for server in stayed)
        assert [] == over(stage)
        invariants.hold(stage)

"""What operators have seen go wrong: a host that promises more than it has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures

from common import errors
from common.db import claims
from tests import factories
from tests import stage as stages

GB = 1024
BIG = {
    "simulated.memory_mb": 300 * GB,
    "simulated.vcpus": 500,
    "simulated.disk_gb": 4000,
    "compute.reserved_host_memory_mb": 20 * GB,
    "compute.ram_allocation_ratio": 1.0,
}
SIDE = {"simulated.memory_mb": 400 * GB, "simulated.vcpus": 500, "simulated.disk_gb": 4000}
MOST = 280 * GB


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


def test_no_mix_of_requests_passes_what_a_host_has(tmp_path_factory, any_database):
    """300 GB, 20 of them reserved: named or not, created, moved live or cold, 280 is the end."""
    with stages.running(
        tmp_path_factory.mktemp("big"),
        hosts=("big", "side"),
        each={"big": BIG, "side": SIDE},
        **{
            "simulated.rate": 10000000.0,
            "conductor.max_inbound": 20,
            "conductor.max_outbound": 20,
            "database.connection": any_database,
        },
    ) as stage:
        flavor = factories.flavor(memory_mb=40 * GB, vcpus=1)
        there = [stage.boot(flavor=flavor, requested_host="side").uuid for _ in range(8)]
        most = Most(stage)

        with most, futures.ThreadPoolExecutor(16) as pool:
            made = [
                pool.submit(stage.create, flavor=flavor, requested_host=host)
                for host in ["big", None] * 4
            ]
            moved = [
                pool.submit(attempt, WAYS[number // 2 % 2], stage, uuid, [None, "big"][number % 2])
                for number, uuid in enumerate(there)
            ]
            for job in made:
                stage.idle(job.result().uuid)
            for move in moved:
                if uuid := move.result():
                    stage.ended(uuid)

        assert most.seen <= MOST
        assert most.seen >= 240 * GB
        assert within(stage)


def attempt(
    way: Callable[[stages.Stage, str, str | None], str],
    stage: stages.Stage,
    server: str,
    host: str | None,
) -> str | None:
    """Begin a move; one that is refused at once has none."""
    try:
        return way(stage, server, host)
    except errors.Error:
        return None


def live(stage: stages.Stage, server: str, host: str | None) -> str:
    """Begin a live migration."""
    return stage.migrate(server, host, wait=False)


def cold(stage: stages.Stage, server: str, host: str | None) -> str:
    """Begin a cold migration that confirms itself."""
    return stage.relocate(server, host, auto_confirm=True, wait=False)


WAYS = (live, cold)


class Most:
    """Looks at what is promised of the big host for as long as the block lasts."""

    def __init__(self, stage: stages.Stage) -> None:
        self.seen = 0
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._once()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self._once()

    def _once(self) -> None:
        with self._stage.database.read() as tx:
            promised = claims.usage(tx, "big").get("big", {}).get(claims.MEMORY_MB, 0)
        self.seen = max(self.seen, promised)

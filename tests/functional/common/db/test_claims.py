"""Claims under random use: whatever happens, no host promises more than it has."""

import collections
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from common import errors
from common.db import claims
from common.db import engine
from common.db import hosts
from tests import factories

CAPACITY = {claims.VCPU: 4, claims.MEMORY_MB: 1024, claims.DISK_GB: 10}
HOSTS = ("host1", "host2")
CONSUMERS = tuple(f"vm{number}" for number in range(6))
AMOUNTS = st.fixed_dictionaries({name: st.integers(0, most) for name, most in CAPACITY.items()})


class Deed(NamedTuple):
    """One thing that one thread does."""

    verb: str
    host: str
    consumer: str
    other: str
    amounts: dict[str, int]


DEEDS = st.builds(
    Deed,
    st.sampled_from(["claim", "claim", "release", "transfer"]),
    st.sampled_from(HOSTS),
    st.sampled_from(CONSUMERS),
    st.sampled_from(CONSUMERS),
    AMOUNTS,
)


def do(database: engine.Database, deed: Deed) -> bool:
    """Do it in a transaction of its own; False when it is refused."""
    try:
        with database.write() as tx:
            VERBS[deed.verb](tx, deed)
    except errors.Conflict:
        return False
    return True


VERBS: dict[str, Callable[[engine.Tx, Deed], object]] = {
    "claim": lambda tx, deed: claims.claim(tx, deed.host, deed.consumer, deed.amounts),
    "release": lambda tx, deed: claims.release(tx, deed.consumer, deed.host),
    "transfer": lambda tx, deed: claims.transfer(tx, deed.host, deed.consumer, deed.other),
}


class Ledger(stateful.RuleBasedStateMachine):
    """Deeds one by one against a model, and several at once against the limits."""

    def __init__(self, first: engine.Database, second: engine.Database) -> None:
        """Work through two pools on one database, as two processes would."""
        super().__init__()
        self.pools = (first, second)
        self.model: dict[tuple[str, str], dict[str, int]] = {}
        with first.write() as tx:
            for consumer in CONSUMERS:
                claims.release(tx, consumer)

    @stateful.rule(deed=DEEDS)
    def one(self, deed: Deed) -> None:
        """One deed has the outcome that the model says."""
        expected = self.predict(deed)

        assert expected == do(self.pools[0], deed)

    @stateful.rule(deeds=st.lists(DEEDS, min_size=2, max_size=6))
    def several(self, deeds: list[Deed]) -> None:
        """Deeds at once may go either way; what is held afterwards is where the model goes on."""
        with futures.ThreadPoolExecutor(len(deeds)) as threads:
            pools = [self.pools[number % 2] for number in range(len(deeds))]
            list(threads.map(do, pools, deeds))
        self.model = self.held()

    @stateful.invariant()
    def nothing_is_promised_twice(self) -> None:
        """Per host and class the sum of all claims is within the capacity."""
        with self.pools[0].read() as tx:
            usage = claims.usage(tx)

        for amounts in usage.values():
            assert all(amounts[name] <= CAPACITY[name] for name in amounts)

    @stateful.invariant()
    def claims_are_whole(self) -> None:
        """What is held is exactly what the model holds: every class of a claim, or none."""
        assert self.model == self.held()

    def held(self) -> dict[tuple[str, str], dict[str, int]]:
        """Give what the database says that each consumer holds on each host."""
        with self.pools[1].read() as tx:
            return {
                (host, consumer): amounts
                for consumer in CONSUMERS
                for host, amounts in claims.held(tx, consumer).items()
            }

    def predict(self, deed: Deed) -> bool:
        """Change the model as the deed should, and tell whether it should succeed."""
        key, other = (deed.host, deed.consumer), (deed.host, deed.other)
        if deed.verb == "release":
            self.model.pop(key, None)
            return True
        if deed.verb == "transfer":
            return self.predict_transfer(key, other)
        used = collections.Counter[str]()
        for (host, consumer), amounts in self.model.items():
            others = host == deed.host and consumer != deed.consumer
            used.update(amounts if others else {})
        if any(used[name] + need > CAPACITY[name] for name, need in deed.amounts.items()):
            return False
        self.model[key] = deed.amounts
        return True

    def predict_transfer(self, key: tuple[str, str], other: tuple[str, str]) -> bool:
        """Hand over what only the giver holds."""
        if key in self.model and other in self.model:
            return False
        if key in self.model:
            self.model[other] = self.model.pop(key)
        return other in self.model


@pytest.mark.slow
def test_capacity_is_never_exceeded(database):
    """Random claims, releases and transfers by several threads keep every limit."""
    second = engine.Database(str(database.engine.url), timeout=30)
    with database.write() as tx:
        for host in HOSTS:
            hosts.report(tx, factories.node(host, vcpus=4, memory_mb=1024, local_gb=10))

    stateful.run_state_machine_as_test(
        lambda: Ledger(database, second),  # type: ignore[arg-type]  # called like a class
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    second.close()

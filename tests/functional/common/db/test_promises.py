"""Any mix of creates and moves, named or not, at once: no host promises more than it has."""

from concurrent import futures
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from common import clock
from common import context
from common import errors
from common.config import load
from common.db import claims
from common.db import engine
from common.db import hosts
from common.db import services
from services.scheduler.manager import Manager
from tests import factories

GB = 1024
# 300 GB, of which 20 are kept.
BIG, SMALL = "big", "small"
MOST = {BIG: 280 * GB, SMALL: 100 * GB}
SERVERS = tuple(f"vm{number}" for number in range(12))
FLAVORS = tuple(
    factories.flavor(memory_mb=memory * GB, vcpus=1, root_gb=1) for memory in (10, 40, 70, 100)
)


class Deed(NamedTuple):
    """What one request does."""

    verb: str
    server: str
    host: str | None  # that is named, if one is
    size: int


DEEDS = st.builds(
    Deed,
    st.sampled_from(["create", "create", "live", "cold", "arrive", "fail", "delete"]),
    st.sampled_from(SERVERS),
    st.sampled_from([BIG, SMALL, None]),
    st.integers(0, len(FLAVORS) - 1),
)


class Cluster:
    """Two schedulers on one database, as two processes would be."""

    def __init__(self, url: str, conf) -> None:
        self.database = engine.Database(url, timeout=30, clock=clock.HeldClock(factories.NOW))
        self.manager = Manager(conf, self.database, clock.HeldClock(factories.NOW))

    def do(self, deed: Deed) -> None:
        """Do it; what is refused is refused."""
        try:
            getattr(self, deed.verb)(deed)
        except (errors.NoValidHost, errors.Conflict):
            return

    def create(self, deed: Deed) -> None:
        """Look for a host for a server that has none."""
        self._select(deed, [])

    def live(self, deed: Deed) -> None:
        """Begin a move away: the source's room is the move's, the destination's the server's."""
        self._move(deed, stays=False)

    def cold(self, deed: Deed) -> None:
        """Begin a cold move; a resize may stay on its host, which it then fills twice."""
        self._move(deed, stays=True)

    def _move(self, deed: Deed, *, stays: bool) -> None:
        source = self._home(deed.server)
        if source is None:
            return
        with self.database.write() as tx:
            claims.transfer(tx, source, deed.server, f"move-{deed.server}")
        try:
            self._select(deed, [] if stays else [source])
        except errors.NoValidHost:
            self.fail(deed)
            raise

    def arrive(self, deed: Deed) -> None:
        """End the move well: the source's room is free."""
        with self.database.write() as tx:
            claims.release(tx, f"move-{deed.server}")

    def fail(self, deed: Deed) -> None:
        """End the move badly: the source's room is the server's again."""
        with self.database.write() as tx:
            claims.lock_held(tx, [deed.server, f"move-{deed.server}"])
            for host in claims.held(tx, f"move-{deed.server}"):
                claims.release(tx, deed.server)
                claims.transfer(tx, host, f"move-{deed.server}", deed.server)

    def delete(self, deed: Deed) -> None:
        """Give everything back."""
        with self.database.write() as tx:
            claims.lock_held(tx, [deed.server, f"move-{deed.server}"])
            claims.release(tx, deed.server)
            claims.release(tx, f"move-{deed.server}")

    def _home(self, server: str) -> str | None:
        with self.database.read() as tx:
            return next(iter(claims.held(tx, server)), None)

    def _select(self, deed: Deed, ignored: list[str]) -> None:
        spec = factories.spec(
            instance_uuid=deed.server,
            consumer=deed.server,
            flavor=FLAVORS[deed.size],
            requested_host=deed.host,
            ignore_hosts=ignored,
        )
        self.manager.select_destinations(context.admin(), spec)


class Promises(stateful.RuleBasedStateMachine):
    """Requests at once, through both schedulers."""

    def __init__(self, clusters: tuple[Cluster, Cluster]) -> None:
        super().__init__()
        self.clusters = clusters
        for server in SERVERS:
            clusters[0].delete(Deed("delete", server, None, 0))

    @stateful.rule(deeds=st.lists(DEEDS, min_size=1, max_size=6))
    def several(self, deeds: list[Deed]) -> None:
        """Any outcome will do that keeps the invariants."""
        with futures.ThreadPoolExecutor(len(deeds)) as threads:
            list(threads.map(lambda at: self.clusters[at % 2].do(deeds[at]), range(len(deeds))))

    @stateful.invariant()
    def no_host_promises_more_than_it_has(self) -> None:
        """Memory is the narrow one; the sum beside the inventory is that of the claims."""
        with self.clusters[0].database.read() as tx:
            promised = claims.usage(tx)
            inventory = claims.inventory(tx)

        for host, most in MOST.items():
            memory = promised.get(host, {}).get(claims.MEMORY_MB, 0)
            assert memory <= most
            assert inventory[host][claims.MEMORY_MB].used == memory


@pytest.mark.slow
def test_a_host_never_promises_more_than_it_has(database):
    """Named or not, created or moved: 280 GB of 300 are the end."""
    conf = load.private({})
    url = database.engine.url.render_as_string(hide_password=False)
    both = (Cluster(url, conf), Cluster(url, conf))
    sizes = {"vcpus": 500, "local_gb": 4000, "reserved_host_memory_mb": 20 * GB}
    with database.write() as tx:
        for host, most in MOST.items():
            services.report(tx, factories.service(host), factories.NOW)
            hosts.report(tx, factories.node(host, memory_mb=most + 20 * GB, **sizes))

    stateful.run_state_machine_as_test(
        lambda: Promises(both),  # type: ignore[arg-type]  # called like a class
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    for one in both:
        one.database.close()

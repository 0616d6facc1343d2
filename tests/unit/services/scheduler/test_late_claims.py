"""A claim whose answer came too late for whoever asked, and the server's next request."""

import pytest

from common import clock
from common import context
from common import errors
from common import objects
from common.config import load
from common.db import claims
from common.db import groups
from common.db import hosts
from common.db import servers
from common.db import services
from common.db import zones
from services.scheduler.manager import Manager
from tests import factories
from tests.factories import NOW

LARGE = factories.flavor(memory_mb=4096)


@pytest.fixture
def manager(database):
    """Two hosts of 8192 and 5000 MiB, and the manager that takes the best."""
    with database.write() as tx:
        for name, memory in (("large", 8192), ("small", 5000)):
            services.report(tx, factories.service(name), NOW)
            hosts.report(tx, factories.node(name, memory_mb=memory))
    conf = load.private({"scheduler.host_subset_size": 1})
    return Manager(conf, database, clock.HeldClock(NOW))


def select(manager: Manager, **values: object) -> objects.Selection:
    return manager.select_destinations(context.admin(), factories.spec(**values))


def held(database) -> dict[str, dict[str, int]]:
    with database.read() as tx:
        found = claims.held(tx, "vm")
        sums = {
            host: {kind: amount.used for kind, amount in amounts.items() if amount.used}
            for host, amounts in claims.inventory(tx).items()
        }
    assert found == {host: amounts for host, amounts in sums.items() if amounts}
    return found


def test_a_repeat_keeps_its_host_and_names_alternates(database, manager):
    first = select(manager, requested_host="small")

    second = select(manager, alternates=1)

    assert (first.host, first.amounts) == (second.host, second.amounts)
    assert ["large"] == second.alternates


def test_another_size_is_claimed_anew(database, manager):
    """The host may be another one, and the late claim is gone."""
    select(manager, requested_host="small")

    chosen = select(manager, flavor=LARGE)

    assert ("large", 4096) == (chosen.host, chosen.amounts["MEMORY_MB"])
    assert {"large": claims.amounts(LARGE)} == held(database)


def test_a_late_claim_is_room_for_its_own_server(database, manager):
    """Counted beside the new one it would be refused where it fits."""
    select(manager, requested_host="small", flavor=LARGE)

    chosen = select(manager, requested_host="small", flavor=factories.flavor(memory_mb=4500))

    assert {"small": 4500} == {chosen.host: chosen.amounts["MEMORY_MB"]}
    assert {"small"} == held(database).keys()


def test_a_host_that_a_filter_refuses_by_now_is_given_back(database, manager):
    select(manager, requested_host="small")
    with database.write() as tx:
        small = services.find(tx, "small", hosts.BINARY, NOW, 30)
        services.change(tx, small.uuid, now=NOW, down_after=30, disabled=True)

    chosen = select(manager)

    assert "large" == chosen.host
    assert "ComputeFilter: it is disabled" in chosen.refusals["small"]
    assert {"large"} == held(database).keys()


def test_a_host_that_a_guard_refuses_by_now_is_given_back(database, manager, monkeypatch):
    """The look was before, the change of the group is in the moment of the claim."""
    select(manager, requested_host="small")

    def guard(_tx: object, _server: str, host: str) -> None:
        if host == "small":
            raise errors.GroupPolicy("small: another has come", host=host)

    monkeypatch.setattr(groups, "guard", guard)

    chosen = select(manager)

    assert "large" == chosen.host
    assert {"large"} == held(database).keys()


def test_a_late_claim_in_another_zone_is_given_back(database, manager):
    select(manager, requested_host="small")
    with database.write() as tx:
        hosts.report(tx, factories.node("small", memory_mb=5000, availability_zone="away"))
        here = zones.of(tx, "large")

    assert "large" == select(manager, availability_zone=here).host
    assert {"large"} == held(database).keys()


def test_a_move_that_was_ended_meanwhile_loses_nothing(database, manager):
    """The server has its room at home again, whatever is claimed too late."""
    home = factories.instance(uuid="vm", host="small")
    with database.write() as tx:
        servers.create(tx, home)
        claims.claim(tx, "small", "vm", claims.amounts(home.flavor))

    select(manager, flavor=LARGE)

    assert {"small": claims.amounts(home.flavor), "large": claims.amounts(LARGE)} == held(database)

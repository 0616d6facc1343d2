"""Many requests at once: who loses a host to another looks again while there is room."""

from collections.abc import Iterator
from typing import Any

import pytest

from common import clock
from common import context
from common import errors
from common import reasons
from common.config import load
from common.db import claims
from common.db import engine
from common.db import hosts
from common.db import rooms
from common.db import services
from services.scheduler.manager import Manager
from tests import factories
from tests import races
from tests.factories import NOW

MANY = 40
WHOLE = {claims.VCPU: 1}


@pytest.fixture
def second(database) -> Iterator[engine.Database]:
    """Another process's connections to the same database."""
    made = engine.Database(str(database.engine.url), timeout=60, clock=clock.HeldClock(NOW))
    yield made
    made.close()


def manager(database: engine.Database, **options: object) -> Manager:
    given = {f"scheduler.{name}": value for name, value in options.items()}
    return Manager(load.private(given), database, clock.HeldClock(NOW))


def write_hosts(database: engine.Database, number: int) -> None:
    """Write hosts of one slot each, no two of which are as good as each other."""
    with database.write() as tx:
        for one in range(number):
            name = f"host{one:02}"
            node = factories.node(name, vcpus=1, memory_mb=8192 - 64 * one)
            services.report(tx, factories.service(name), NOW)
            hosts.report(tx, node)


def test_as_many_requests_as_slots_are_all_placed(database, second):
    """Two schedulers with everybody after the same best host: none is refused."""
    write_hosts(database, MANY)
    managers = [manager(database), manager(second)]

    def choose(number: int) -> str:
        spec = factories.spec(instance_uuid=f"vm{number}", consumer=f"vm{number}")
        return str(managers[number % 2].select_destinations(context.admin(), spec).host)

    chosen = races.race(choose, times=MANY)

    assert [f"host{one:02}" for one in range(MANY)] == sorted(chosen)


@pytest.fixture
def taken_first(database, monkeypatch):
    """Have others take a host whole, each time that it was read and not yet claimed."""

    def take(host: str) -> None:
        seen = rooms.read

        def then_others(*args: Any, **more: Any):
            found = seen(*args, **more)
            if host in [room.name for room in found]:
                with database.write() as other:
                    claims.release(other, "others")
                    claims.claim(other, host, "others", WHOLE)
            return found

        monkeypatch.setattr(rooms, "read", then_others)

    return take


def test_the_only_fit_host_of_a_window_is_not_the_last_word(database, taken_first):
    """The others of the window are refused by what no database knows; those beyond it fit."""
    write_hosts(database, 4)
    with database.write() as tx:
        for name in ("host00", "host01"):
            lxc = factories.facts(hypervisor_type="LXC", virt_type="lxc")
            hosts.report(tx, factories.node(name, vcpus=1, memory_mb=9000, facts=lxc))
    taken_first("host02")
    spec = factories.spec(image=factories.image(properties={"img_hv_type": "QEMU"}))
    by_memory = {"cpu_weight_multiplier": 0.0, "disk_weight_multiplier": 0.0, "window": 3}

    chosen = manager(database, **by_memory).select_destinations(context.admin(), spec)

    assert "host03" == chosen.host
    assert "claim: others were first" in chosen.refusals["host02"]


def test_a_host_that_was_lost_is_not_tried_again(database, taken_first):
    """The refusal has the numbers of the claim, and the others their own reasons."""
    write_hosts(database, 1)
    taken_first("host00")

    with pytest.raises(errors.NoValidHost) as caught:
        manager(database).select_destinations(context.admin(), factories.spec())

    (refusal,) = reasons.read(caught.value.facts)["host00"]
    assert "claim" == refusal["filter"]


def test_every_free_host_is_tried_however_few_claims_a_look_may_try(database, taken_first):
    """[scheduler] claim_attempts is about one look, and another one follows."""
    write_hosts(database, 2)
    taken_first("host00")

    chosen = manager(database, claim_attempts=1).select_destinations(
        context.admin(), factories.spec()
    )

    assert "host01" == chosen.host


def test_a_host_that_leaves_the_zone_after_the_look_is_lost(database, monkeypatch):
    """The zone is looked at again in the claim."""
    write_hosts(database, 2)
    seen = rooms.read

    def then_it_leaves(*args: Any, **more: Any):
        found = seen(*args, **more)
        with database.write() as other:
            node = factories.node("host00", vcpus=1, availability_zone="away")
            hosts.report(other, node)
        return found

    monkeypatch.setattr(rooms, "read", then_it_leaves)
    spec = factories.spec(availability_zone="nova")

    chosen = manager(database).select_destinations(context.admin(), spec)

    assert "host01" == chosen.host
    assert "host00 is in availability zone away now" in chosen.refusals["host00"]

import datetime
import random
import threading
from collections.abc import Collection
from typing import Any

import pytest

from common import clock
from common import context
from common import errors
from common import reasons
from common.config import load
from common.db import candidates
from common.db import claims
from common.db import hosts
from common.db import rooms
from common.db import services
from common.db.engine import Tx
from services.scheduler import fleet
from services.scheduler.manager import LOOKS
from services.scheduler.manager import Manager
from services.scheduler.request import Request
from tests import factories
from tests import races
from tests.factories import NOW

# The best host is taken, so that there is one answer.
CONF = load.private({"scheduler.host_subset_size": 1})


@pytest.fixture
def manager(database):
    return Manager(CONF, database, clock.HeldClock(NOW))


@pytest.fixture
def three(database):
    """Three hosts that are up: small, middle and large."""
    with database.write() as tx:
        for name, memory in (("large", 8192), ("middle", 4096), ("small", 1024)):
            services.report(tx, factories.service(name), NOW)
            hosts.report(tx, factories.node(name, memory_mb=memory))


def select(manager, **values):
    return manager.select_destinations(context.admin(), factories.spec(**values))


def told(error: errors.Error) -> dict[str, str]:
    """Give {host: "filter: reason"} of a refusal."""
    return {host: reasons.line(one) for host, one in reasons.read(error.facts).items()}


def test_the_host_with_most_memory_is_chosen_and_claimed(database, manager, three):
    chosen = select(manager)

    amounts = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
    assert ("large", "vm", amounts) == (chosen.host, chosen.consumer, chosen.amounts)
    with database.read() as tx:
        assert {"large": amounts} == claims.held(tx, "vm")


def test_the_refusals_come_with_the_choice(manager, three):
    """Those that were looked at: others were left out by the database."""
    chosen = select(manager, image=factories.image(properties={"img_hv_type": "qemu"}))

    assert "large" == chosen.host
    assert {} == chosen.refusals


def test_no_host_says_why_for_each(database, manager, three):
    with pytest.raises(errors.NoValidHost) as caught:
        select(manager, flavor=factories.flavor(memory_mb=9000))

    assert (
        "no valid host for server vm: "
        "large: RamFilter: needs 9000 MB, 8192 MB free of 8192; "
        "middle: RamFilter: needs 9000 MB, 4096 MB free of 4096; "
        "small: RamFilter: needs 9000 MB, 1024 MB free of 1024"
    ) == str(caught.value)
    assert {"large", "middle", "small"} == told(caught.value).keys()
    with database.read() as tx:
        assert {} == claims.usage(tx)


def test_a_sentence_names_some_of_many_hosts(database, manager):
    with database.write() as tx:
        for number in range(12):
            hosts.report(tx, factories.node(f"host{number:02}"))

    with pytest.raises(errors.NoValidHost, match=r"host09: .* and 2 more$") as caught:
        select(manager)

    assert 12 == len(told(caught.value))


def test_nothing_reported_is_said(manager):
    with pytest.raises(errors.NoValidHost, match="no compute service has reported yet"):
        select(manager)


def test_a_named_host_is_taken_although_others_are_better(manager, three):
    chosen = select(manager, requested_host="small")

    assert ("small", {}) == (chosen.host, chosen.refusals)


def test_a_named_host_skips_no_filter(manager, three):
    with pytest.raises(errors.NoValidHost) as caught:
        select(manager, requested_host="small", flavor=factories.flavor(memory_mb=2048))

    assert {"small": "RamFilter: needs 2048 MB, 1024 MB free of 1024"} == told(caught.value)


def test_an_unknown_named_host_is_said_to_be_unknown(manager, three):
    with pytest.raises(errors.NoValidHost, match="host9: known: no compute service has ever"):
        select(manager, requested_host="host9")


def test_a_repeat_gives_the_host_already_claimed(database, manager, three):
    first = select(manager)
    with database.write() as tx:
        hosts.report(tx, factories.node("larger", memory_mb=99999))
        services.report(tx, factories.service("larger"), NOW)

    assert first == select(manager)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({}, {"large", "twin"}),
        ({"scheduler.host_subset_margin": 10.0}, {"large", "twin", "middle"}),
        ({"scheduler.host_subset_size": 1, "scheduler.host_subset_margin": 10.0}, {"large"}),
    ],
)
def test_chance_decides_among_those_that_are_close(database, three, options, taken):
    """A host that the weighers put behind the best is not taken for it, however many may be."""
    with database.write() as tx:
        services.report(tx, factories.service("twin"), NOW)
        hosts.report(tx, factories.node("twin", memory_mb=8000))
    manager = Manager(load.private(options), database, clock.HeldClock(NOW), random.Random(1))

    chosen = set()
    for number in range(40):
        chosen.add(select(manager, consumer=f"vm{number}").host)
        with database.write() as tx:
            claims.release(tx, f"vm{number}")

    assert taken == chosen


def test_a_host_that_failed_is_not_among_the_best_few(database, three):
    """Chance does not undo what a weigher has decided."""
    with database.write() as tx:
        candidates.count_failure(tx, "large", NOW)
    manager = Manager(load.private({}), database, clock.HeldClock(NOW))

    chosen = [str(select(manager, consumer=f"vm{number}").host) for number in range(6)]

    assert "large" not in chosen


def test_a_failure_is_forgotten_after_its_time(database, three):
    """[scheduler] failure_memory later the best host is the best again."""
    conf = load.private({"scheduler.host_subset_size": 1, "scheduler.failure_memory": 60})
    with database.write() as tx:
        candidates.count_failure(tx, "large", NOW)
        failed_at = tx.now()

    def chosen(seconds: int) -> str:
        at = failed_at + datetime.timedelta(seconds=seconds)
        with database.write() as tx:
            claims.release(tx, "vm")
            for name in ("large", "middle", "small"):
                services.report(tx, factories.service(name), at)
        return str(select(Manager(conf, database, clock.HeldClock(at))).host)

    assert ["middle", "large"] == [chosen(59), chosen(61)]


def test_a_claim_on_an_ignored_host_is_not_given_again(manager, three):
    select(manager)

    assert "middle" == select(manager, ignore_hosts=["large"]).host


def test_racing_requests_never_fill_a_host_twice(database, manager, three):
    """Everybody sees the same best host; who comes too late gets the next one."""
    big = factories.flavor(vcpus=4)

    def choose(number: int) -> str:
        try:
            return str(select(manager, consumer=f"vm{number}", flavor=big).host)
        except errors.NoValidHost:
            return "none"

    chosen = races.race(choose, times=5)

    assert ["large", "middle", "none", "none", "small"] == sorted(chosen)


def test_who_comes_late_is_told_so(database, manager, three, monkeypatch):
    """A host that others filled between look and claim is refused with the numbers of then."""
    seen = rooms.read

    def rooms_then_others(*args: Any, **more: Any):
        found = seen(*args, **more)
        with database.write() as other:
            claims.claim(other, "large", "others", {claims.VCPU: 4})
        return found

    monkeypatch.setattr(rooms, "read", rooms_then_others)

    chosen = select(manager)

    assert "middle" == chosen.host
    assert "claim: others were first: large: needs 1 vCPUs, 0 free of 4" == chosen.refusals["large"]


def test_an_over_promised_host_is_passed_over_without_its_filter(database, three):
    """Whatever [scheduler] enabled_filters says: the claim has the last word."""
    conf = load.private({"scheduler.enabled_filters": ["ComputeFilter"]})
    with database.write() as tx:
        claims.claim(tx, "large", "other", {claims.DISK_GB: 30})
        hosts.report(tx, factories.node("large", memory_mb=8192, local_gb=20))
    manager = Manager(conf, database, clock.HeldClock(NOW))
    diskless = factories.flavor(root_gb=0)

    chosen = [select(manager, consumer=f"vm{one}", flavor=diskless).host for one in range(6)]

    assert "large" not in chosen


def test_a_flavor_without_a_disk_asks_for_that_of_the_image(manager, three):
    """DiskFilter is not got round by it."""
    image = factories.image(size=50 << 30)

    with pytest.raises(errors.NoValidHost, match="DiskFilter: needs 50 GB"):
        select(manager, flavor=factories.flavor(root_gb=0), image=image)


def test_an_unknown_filter_stops_the_start(database):
    conf = load.private({"scheduler.enabled_filters": ["colour"]})

    with pytest.raises(errors.Invalid, match="colour"):
        Manager(conf, database, clock.HeldClock())


def test_explaining_claims_nothing_and_tells_every_filter(database, manager, three):
    found = manager.explain(
        context.admin(), factories.spec(flavor=factories.flavor(memory_mb=2048))
    )

    told = {(one.host, one.name): (one.verdict, one.reason) for one in found}
    assert ("fail", "needs 2048 MB, 1024 MB free of 1024") == told["small", "RamFilter"]
    assert ("pass", "needs 2048 MB, 4096 MB free of 4096") == told["middle", "RamFilter"]
    assert set(CONF.scheduler.enabled_filters) == {name for _, name in told}
    with database.read() as tx:
        assert {} == claims.held(tx, "vm")


def test_explaining_is_about_the_hosts_in_question(manager, three):
    one = manager.explain(context.admin(), factories.spec(requested_host="small"))
    rest = manager.explain(context.admin(), factories.spec(ignore_hosts=["small"]))
    (unknown,) = manager.explain(context.admin(), factories.spec(requested_host="nowhere"))

    assert {"small"} == {answer.host for answer in one}
    assert {"large", "middle"} == {answer.host for answer in rest}
    assert ("known", "fail", "host_unsuitable") == (unknown.name, unknown.verdict, unknown.code)


def test_few_look_for_a_host_at_once(manager, three, monkeypatch):
    """As many as may look together do, and never one more."""
    look = fleet.Fleet.look
    together = threading.Barrier(LOOKS)
    guard = threading.Lock()
    inside: list[str] = []
    most: list[int] = []

    def counted(
        self: fleet.Fleet, tx: Tx, request: Request, without: Collection[str]
    ) -> fleet.Found:
        with guard:
            inside.append(request.consumer)
            most.append(len(inside))
        together.wait(timeout=30)
        found = look(self, tx, request, without)
        with guard:
            inside.remove(request.consumer)
        return found

    monkeypatch.setattr(fleet.Fleet, "look", counted)

    races.race(lambda number: select(manager, consumer=f"vm{number}"), times=2 * LOOKS)

    assert LOOKS == max(most)

"""From host to host: alternates first, then the scheduler again."""

import pytest

from common import errors
from common import objects
from common import reasons
from common import states
from common.db import claims
from common.db import hosts
from common.db.engine import Tx
from services.conductor import building
from services.conductor import liveness
from services.conductor import placement
from services.conductor.deps import Deps
from services.conductor.search import Search
from tests import factories


@pytest.fixture
def asked(stage):
    """What the scheduler was asked; it names host1, then host2 and host3 as alternates."""
    specs: list[objects.RequestSpec] = []

    def select(spec: objects.RequestSpec) -> objects.Selection:
        specs.append(spec)
        line = [name for name in ("host1", "host2", "host3") if name not in spec.tried]
        if not line:
            told = {host: reasons.one("RetryFilter", "it was tried") for host in spec.tried}
            raise errors.NoValidHost("no valid host", reasons=told)
        with stage.deps.database.write() as tx:
            taken = claims.claim(tx, line[0], spec.consumer, claims.amounts(spec.flavor))
        return objects.Selection(
            host=line[0], consumer=spec.consumer, amounts=taken, alternates=line[1:]
        )

    stage.everybody.answers["scheduler", "select_destinations"] = select
    return specs


@pytest.fixture
def search(stage, asked):
    server = stage.server(None, task_state=states.Task.SPAWNING, vm_state=states.Vm.BUILDING)
    return Search(stage.deps, stage.context, placement.spec(stage.deps.conf, server))


def refuse(stage, search, host):
    """Say as a compute would that it cannot, and give the room back as the caller does."""
    search.refuse(host, "no_disk_space", f"{host} is full")
    with stage.deps.database.write() as tx:
        claims.release(tx, search._spec.consumer, host)


def test_alternates_are_claimed_one_after_the_other(stage, asked, search):
    """The scheduler is asked once for three hosts."""
    found = []
    for _ in range(3):
        found.append(search.next())
        assert [found[-1]] == stage.held(search._spec.consumer)
        refuse(stage, search, found[-1])

    assert ["host1", "host2", "host3"] == found
    assert 1 == len(asked)


def test_an_alternate_that_is_full_by_now_is_passed_over(stage, asked, search):
    with stage.deps.database.write() as tx:
        claims.claim(tx, "host2", "other", {claims.VCPU: 4})

    refuse(stage, search, search.next())

    assert "host3" == search.next()


def test_an_alternate_that_is_down_by_now_is_passed_over(stage, asked, search):
    refuse(stage, search, search.next())
    stage.force_down("host2")

    assert "host3" == search.next()


def test_an_alternate_that_leaves_its_zone_meanwhile_is_passed_over(
    stage, asked, search, monkeypatch
):
    """The zone is looked at in the claim, after the host was looked at."""
    look = liveness.require

    def then_it_leaves(deps: Deps, tx: Tx, host: str, purpose: str) -> objects.ComputeNode:
        found = look(deps, tx, host, purpose)
        zone = "away" if host == "host2" else "nova"
        hosts.report(tx, factories.node(host, availability_zone=zone))
        return found

    monkeypatch.setattr(liveness, "require", then_it_leaves)
    search._spec = search._spec.replace(availability_zone="nova")
    refuse(stage, search, search.next())

    assert "host3" == search.next()


def test_the_scheduler_hears_what_was_tried(stage, asked, search):
    """When all refuse the error has the reason of each, and not that it was tried."""
    for _ in range(3):
        refuse(stage, search, search.next())

    with pytest.raises(errors.NoValidHost) as caught:
        search.next()

    assert {"host1", "host2", "host3"} == asked[-1].tried.keys()
    assert {
        host: reasons.one("no_disk_space", f"{host} is full")
        for host in ("host1", "host2", "host3")
    } == reasons.read(caught.value.facts)


def test_attempts_are_limited(stage, asked, search):
    stage.deps.conf.set_override("max_attempts", 2, "scheduler")
    for _ in range(2):
        refuse(stage, search, search.next())

    with pytest.raises(errors.NoValidHost, match="given up after 2 hosts") as caught:
        search.next()

    assert {"host1", "host2"} == reasons.read(caught.value.facts).keys()


def test_a_build_that_one_host_refuses_is_another_hosts(stage, asked):
    """The server keeps its reasons; its next host is an alternate."""
    request = objects.NewServer(name="vm", flavor=factories.flavor(), networks=[])
    made = stage.manager.create_server(stage.context, request)
    stage.work()
    building_ = stage.read(made.uuid)

    stage.fail_build(building_)
    stage.work()
    after = stage.read(made.uuid)

    assert ("host1", "host2") == (building_.host, after.host)
    assert states.Task.SPAWNING == after.task_state
    assert {"host1": reasons.one("hypervisor_error", "no")} == after.fault_reasons
    assert ["host2"] == stage.held(made.uuid)
    assert ["host1", "host2"] == [whom for whom, _ in stage.everybody.told("build_server")]


def test_a_build_on_a_named_host_fails_there(stage, asked):
    request = objects.NewServer(
        name="vm", flavor=factories.flavor(), networks=[], requested_host="host1"
    )
    made = stage.manager.create_server(stage.context, request)
    stage.work()

    stage.fail_build(stage.read(made.uuid))
    after = stage.read(made.uuid)

    assert (states.Vm.ERROR, "hypervisor_error") == (after.vm_state, after.fault_code)
    assert {"host1": reasons.one("hypervisor_error", "no")} == after.fault_reasons
    assert [] == stage.held(made.uuid)


def test_a_late_report_of_a_refused_build_changes_nothing(stage, asked):
    request = objects.NewServer(name="vm", flavor=factories.flavor(), networks=[])
    made = stage.manager.create_server(stage.context, request)
    stage.work()
    before = stage.read(made.uuid)
    stage.fail_build(before)
    stage.work()
    after = stage.read(made.uuid)

    error = errors.HypervisorError("no")

    assert building.again(stage.deps, stage.context, made.uuid, before.generation, error) is None
    assert after == stage.read(made.uuid)

import threading

import pytest

from common import checks
from common import context
from common import errors
from common import objects
from common import states
from tests import factories

CLEANUP = "check_can_live_migrate_destination_cleanup"
DESTINATION = "examine_live_migration_destination"
SOURCE = "examine_live_migration_source"


def report(name: str, host: str) -> objects.CheckReport:
    """An answer of one check, as the host that looked gives it."""
    data = objects.LibvirtLiveMigrateData(migration_uuid="m", test_file=f"probe-{host}")
    return objects.CheckReport(data=data, results=[checks.passed(name, host, "fine")])


@pytest.fixture
def ready(stage):
    """Hosts that all answer well, and a scheduler that would take two of them."""
    answers = stage.everybody.answers
    up = [checks.passed("up", host, "it is up") for host in ("host2", "host3")]
    answers["scheduler", "explain"] = up
    for host in ("host2", "host3"):
        answers[host, DESTINATION] = report("bridges", host)
    answers["host1", SOURCE] = report("cpu", "10.0.0.1")
    return stage


def ask(stage, server, host=None):
    return stage.manager.check_migrate(
        context.admin(), server.uuid, host, block_migration=None, disk_over_commit=False
    )


def named(results, host):
    return {one.name: one for one in results if one.host == host}


def test_every_answer_is_about_its_destination(ready):
    """Whoever looked, and under whatever address."""
    found = ask(ready, ready.server())

    assert {"host2", "host3"} == {one.host for one in found}
    assert {"state", "task", "settled", "not-itself", "source", "up", "bridges", "cpu"} == set(
        named(found, "host2")
    )


def test_the_test_files_are_removed(ready):
    """However the checks end."""
    ready.everybody.answers["host1", SOURCE] = fail

    found = ask(ready, ready.server())

    assert "no libvirt" == named(found, "host3")["answer"].reason
    assert {"host2", "host3"} == {whom for whom, _ in ready.everybody.told(CLEANUP)}


def test_the_test_file_of_a_silent_host_is_removed(ready):
    """It may be making it still: the name is known before the question."""
    asked: list[objects.LibvirtLiveMigrateData] = []

    def hear(_instance: object, data: objects.LibvirtLiveMigrateData) -> None:
        asked.append(data)
        raise errors.NoAnswer("host2 did not answer")

    ready.everybody.answers["host2", DESTINATION] = hear

    ask(ready, ready.server())

    told = dict(ready.everybody.told(CLEANUP))
    assert [told["host2"].test_file] == [data.test_file for data in asked]
    assert checks.owns("host2", told["host2"].test_file)


def test_the_source_is_left_out_unless_it_is_named(ready):
    """The scheduler is told so."""
    server = ready.server()
    ask(ready, server)
    ask(ready, server, "host1")

    specs = [spec for _, spec in ready.everybody.told("explain")]

    assert [["host1"], []] == [spec.ignore_hosts for spec in specs]


def test_a_host_that_is_down_is_not_asked(ready):
    """Its silence is known."""
    down = errors.HostUnsuitable("it is down")
    answer = checks.failed("ComputeFilter", "host2", down)
    ready.everybody.answers["scheduler", "explain"] = [answer]

    found = ask(ready, ready.server())

    assert "it is down" == named(found, "host2")["ComputeFilter"].reason
    assert [] == ready.everybody.told(DESTINATION)


def test_a_late_host_fails_and_keeps_nobody(ready):
    """The time is bounded for all of them together."""
    ready.deps.conf.set_override("check_timeout", 1, "conductor")
    go = threading.Event()

    def wait(*_arguments: object) -> objects.CheckReport:
        go.wait(10)
        return report("bridges", "host2")

    ready.everybody.answers["host2", DESTINATION] = wait

    found = ask(ready, ready.server())

    go.set()
    late = named(found, "host2")["answer"]
    assert ("its checks had not ended after 1 s", "no_answer") == (late.reason, late.code)
    assert "cpu" in named(found, "host3")


def test_what_nobody_expected_is_an_answer_too(ready):
    """The log has the rest."""
    ready.everybody.answers["host2", DESTINATION] = lambda *_args: 1 / 0

    found = ask(ready, ready.server())

    assert "remote_error" == named(found, "host2")["answer"].code
    assert "bridges" in named(found, "host3")


def test_a_server_without_a_host_fails_without_questions(ready):
    """There is nowhere to ask."""
    server = ready.server(host=None, vm_state=states.Vm.ERROR)

    found = named(ask(ready, server), "host2")

    assert {"state", "source"} <= {
        name for name, one in found.items() if one.verdict == states.Verdict.FAIL
    }
    assert [] == ready.everybody.told(SOURCE)


def test_a_policy_that_makes_no_sense_is_refused(ready):
    """As the move would be."""
    flavor = factories.flavor(extra_specs={"whimbrel:migration_policy": "hasty"})

    with pytest.raises(errors.Invalid, match="hasty"):
        ask(ready, ready.server(flavor=flavor))


def fail(*_arguments: object) -> None:
    raise errors.HypervisorError("no libvirt")

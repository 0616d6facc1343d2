from common import context
from common import objects
from common import states
from common.db import claims
from common.db import findings
from common.db import tables
from services.conductor import audit
from tests import factories

RUNNING = int(states.Power.RUNNING)
OFF = int(states.Power.SHUTDOWN)


def claim(stage, server, host):
    with stage.deps.database.write() as tx:
        claims.claim(tx, host, server.uuid, claims.amounts(server.flavor))


def test_late_claim_is_given_back_and_told(stage, caplog):
    """The scheduler answered a conductor that had given up waiting."""
    server = stage.server()
    claim(stage, server, "host2")

    swept = audit.sweep(stage.deps)

    assert [(server.uuid, "host2")] == [(one.consumer, one.host) for one in swept]
    assert ["host1"] == stage.held(server.uuid)
    assert f"host2: room that {server.uuid} held is given back" in caplog.text


def test_audit_comes_round_in_its_interval(stage):
    """Not with every tick of the queue."""
    server = stage.server()
    auditing = audit.Audit(stage.deps)
    auditing.tick()
    claim(stage, server, "host2")

    auditing.tick()
    assert ["host1", "host2"] == stage.held(server.uuid)
    stage.clock.advance(stage.deps.conf.conductor.audit_interval)
    auditing.tick()

    assert ["host1"] == stage.held(server.uuid)


def tell(stage, host="host1", guests=(), **values):
    """Have a host report its guests, long after everything that was done to its servers."""
    stage.clock.advance(120)
    usage = objects.HostUsage(
        guests=[
            objects.HostGuest(uuid=uuid, power_state=power, run_token="run")
            for uuid, power in guests
        ]
    )
    node = factories.node(host, uuid=host, usage=usage, **values)
    stage.manager.report(context.admin(), factories.service(host), node)


def test_guest_that_stopped_by_itself_is_recorded_so(stage):
    """With the next tick after its host has told it."""
    server = stage.server(power_state=RUNNING)
    tell(stage, guests=[(server.uuid, OFF)])

    stage.manager.observe()

    now = stage.read(server.uuid)
    assert (states.Vm.STOPPED, OFF, None) == (now.vm_state, now.power_state, now.task_state)
    assert ["host1"] == stage.held(server.uuid)


def test_server_that_is_being_changed_is_left_to_whoever_does_it(stage):
    server = stage.server(power_state=RUNNING)
    tell(stage, guests=[(server.uuid, OFF)])
    stage.manager.operate(context.admin(), server.uuid, "reboot_hard")

    assert [] == stage.manager.audit(context.admin(), None)

    assert RUNNING == stage.read(server.uuid).power_state


def test_what_is_not_ours_is_told_once_and_left_alone(stage, caplog):
    """And again when it comes back."""
    auditing = audit.Audit(stage.deps)
    stranger = factories.instance().uuid
    tell(stage, guests=[(stranger, RUNNING)])

    for _again in range(2):
        stage.clock.advance(stage.deps.conf.conductor.audit_interval)
        tell(stage, guests=[(stranger, RUNNING)])
        auditing.tick()
    tell(stage)
    stage.clock.advance(stage.deps.conf.conductor.audit_interval)
    tell(stage)
    auditing.tick()
    stage.clock.advance(stage.deps.conf.conductor.audit_interval)
    tell(stage, guests=[(stranger, RUNNING)])
    auditing.tick()

    told = [record for record in caplog.messages if "Whimbrel leaves it" in record]
    assert 2 == len(told)
    assert all(stranger in words for words in told)


def test_audit_gives_all_that_it_found(stage):
    """What was put right, too, and a second look finds only the rest."""
    server = stage.server(power_state=RUNNING)
    claim(stage, server, "host2")
    with stage.deps.database.write() as tx:
        tx.run(tables.INVENTORY.update().where(tables.INVENTORY.c.host == "host3").values(used=9))
    tell(stage)

    first = stage.manager.audit(context.admin(), None)
    second = stage.manager.audit(context.admin(), None)

    kinds = {(one.kind, one.host): one.repaired for one in first}
    assert {
        (audit.CLAIM, "host2"): True,
        (findings.COUNT, "host3"): True,
        (findings.MISSING, "host1"): False,
    } == kinds
    assert [(findings.MISSING, "host1")] == [(one.kind, one.host) for one in second]


def test_server_without_its_claim_gets_it_back(stage, caplog):
    """Though there is no room for it: its guest runs, and the host is told of as over-promised."""
    server = stage.server(power_state=RUNNING)
    with stage.deps.database.write() as tx:
        claims.release(tx, server.uuid)
    tell(stage, guests=[(server.uuid, RUNNING)], memory_mb=500)

    first = stage.manager.audit(context.admin(), None)

    assert [(findings.UNCLAIMED, True), (findings.OVER_PROMISED, False)] == [
        (one.kind, one.repaired) for one in first
    ]
    assert ["host1"] == stage.held(server.uuid)
    assert "host1 held no room for server" in caplog.text
    assert "host1 is over-promised: memory 12 MiB; it gets no more servers" in caplog.text


def test_claim_of_another_size_is_put_right(stage):
    server = stage.server(power_state=RUNNING)
    with stage.deps.database.write() as tx:
        claims.put(tx, "host1", server.uuid, {claims.MEMORY_MB: 7})

    (first,) = stage.manager.audit(context.admin(), "host1")

    assert (findings.AMOUNT, True) == (first.kind, first.repaired)
    with stage.deps.database.read() as tx:
        assert {"host1": claims.amounts(server.flavor)} == claims.held(tx, server.uuid)


def test_power_of_a_guest_that_waits_to_be_confirmed_is_followed(stage):
    """It stays resized."""
    server = stage.server(power_state=RUNNING, vm_state=states.Vm.RESIZED)
    tell(stage, guests=[(server.uuid, OFF)])

    stage.manager.observe()

    now = stage.read(server.uuid)
    assert (states.Vm.RESIZED, OFF) == (now.vm_state, now.power_state)


def test_host_that_has_promised_too_much_is_warned_about_at_once(stage, caplog):
    """When it reports less than is promised of it: once, and in every audit's answer."""
    stage.server()
    for _report in range(2):
        tell(stage, memory_mb=600, reserved_host_memory_mb=400)

    (found,) = [
        one
        for one in stage.manager.audit(context.admin(), "host1")
        if one.kind == findings.OVER_PROMISED
    ]

    warning = "host1 is over-promised: memory 312 MiB; it gets no more servers"
    assert [warning] == [record for record in caplog.messages if "gets no more" in record]
    assert ("host1 is over-promised: memory 312 MiB", False) == (found.sentence, found.repaired)

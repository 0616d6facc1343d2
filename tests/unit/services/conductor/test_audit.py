from common.db import claims
from services.conductor import audit


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

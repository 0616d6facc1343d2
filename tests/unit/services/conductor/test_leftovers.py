"""Which host is asked again for what a move left there, when, and when it is not."""

import pytest

from common import errors
from common import objects
from common import states
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import leftovers
from tests import factories

ASKED = {
    leftovers.LEAVE: ("host1", "leave_live_migration_source"),
    leftovers.ROLLBACK: ("host2", "rollback_live_migration_at_destination"),
}
BUSY = errors.HypervisorError("busy")


class Kept:
    """A move that ended and left something, and who asks for it to be removed."""

    def __init__(self, stage, name, error=BUSY) -> None:
        self.stage = stage
        self.host, self.method = ASKED[name]
        self.name = name
        self.tested = leftovers.Leftovers(stage.deps)
        completed = name == leftovers.LEAVE
        self.server = stage.server(host="host2" if completed else "host1")
        status = states.Move.COMPLETED if completed else states.Move.FAILED
        with stage.deps.database.write() as tx:
            self.move = moves.create(
                tx,
                factories.migration(
                    instance_uuid=self.server.uuid, destination="host2", status=status
                ),
            )
            step = factories.step(self.move, step=name, host=self.host, state="failed")
            journal.step(tx, step.replace(error_code=error.code, error=error.message))

    def refuse(self, error):
        """Have the host answer so until it is told otherwise."""

        def answer(_instance, _migration):
            raise error

        self.stage.everybody.answers[self.host, self.method] = answer if error else None

    def change(self, **values):
        with self.stage.deps.database.write() as tx:
            servers.change(tx, self.server.uuid, **values)

    def tick(self, seconds=leftovers.EVERY):
        """Let time go by, with every host up, and look."""
        self.stage.clock.advance(seconds)
        for name in ("host1", "host2"):
            self.stage.host(name)
        self.tested.tick()
        self.stage.work()

    def asked(self):
        return len(self.stage.everybody.told(self.method))

    def tries(self):
        with self.stage.deps.database.read() as tx:
            found = journal.steps(tx, self.move.uuid)
        return [(step.attempt, step.state) for step in found if step.step == self.name]


@pytest.mark.parametrize("name", ASKED)
def test_host_is_asked_until_it_has_tidied_up(stage, name):
    """What passes by itself is waited for; the try that succeeds is the one that is written."""
    kept = Kept(stage, name)
    kept.refuse(BUSY)
    kept.tick()
    kept.tick()
    kept.refuse(None)
    kept.tick()
    kept.tick()

    assert 3 == kept.asked()
    assert [(1, "failed"), (2, "done")] == kept.tries()


@pytest.mark.parametrize("name", ASKED)
def test_unforeseen_fault_is_tried_again_rarely(stage, name):
    """The next version of the host's compute may have none."""
    fault = errors.RemoteError("KeyError")
    kept = Kept(stage, name, fault)
    kept.refuse(fault)
    kept.tick()
    kept.tick()
    once = kept.asked()
    kept.refuse(None)
    kept.tick(leftovers.RARELY)

    assert (1, 2) == (once, kept.asked())
    assert [(1, "failed"), (2, "done")] == kept.tries()


def test_refusal_for_a_person_is_written_once(stage):
    """A guest that runs there stays."""
    kept = Kept(stage, leftovers.LEAVE)
    kept.refuse(errors.Conflict("it runs here"))
    kept.tick()
    kept.tick()

    assert 1 == kept.asked()
    assert [(1, "failed"), (2, "failed")] == kept.tries()


@pytest.mark.parametrize("now", [{"host": "host1"}, {"task_state": states.Task.MIGRATING}])
def test_source_that_may_have_the_guest_again_is_not_asked(stage, now):
    """What was left there may be what the guest needs: it lives there, or is on its way."""
    kept = Kept(stage, leftovers.LEAVE)
    kept.change(**now)
    kept.tick()

    assert 0 == kept.asked()


def test_leftovers_of_a_deleted_server_are_removed(stage):
    """Wherever it lived last."""
    kept = Kept(stage, leftovers.LEAVE)
    kept.change(host="host1", vm_state=states.Vm.DELETED, terminated_at=factories.NOW)
    kept.tick()

    assert [(1, "failed"), (2, "done")] == kept.tries()


def test_data_is_what_the_hosts_agreed_on(stage):
    """A host knows by it what the move was; one that has none is told its name at least."""
    kept = Kept(stage, leftovers.LEAVE)
    kept.tick()

    ((_host, told),) = stage.everybody.told(kept.method)
    assert isinstance(told.data, objects.LibvirtLiveMigrateData)
    assert kept.move.uuid == told.data.migration_uuid

from common import context
from common import objects
from common import states
from common.db import servers
from services import together
from tests import factories
from tests import waiting


def test_one_worker_is_enough(tmp_path):
    """The tick of the queue takes none of the workers."""
    options = {"conductor.workers": 1}
    with together.running(tmp_path, ("host1",), options) as services:
        made = services.conductor.create_server(
            context.admin(), objects.NewServer(name="vm", flavor=factories.flavor())
        )

        def placed() -> bool:
            with services.database.read() as tx:
                return servers.get(tx, made.uuid).task_state is None

        waiting.until(placed, "a host was looked for", 10)
        with services.database.read() as tx:
            assert servers.get(tx, made.uuid).vm_state in {states.Vm.ACTIVE, states.Vm.ERROR}

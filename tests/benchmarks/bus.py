"""One RPC call there and back, over the in-memory bus and over RabbitMQ."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from common import context as contexts
from common import objects
from common.config import load
from deploy.lab import registry
from rpc import interface
from rpc.bus import Bus
from tests.benchmarks.figures import Figure

if TYPE_CHECKING:
    from common.context import Context
    from tests.integration import labs

CALLS = 200
SPEC = objects.RequestSpec(
    instance_uuid="a",
    consumer="a",
    flavor=objects.Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=128, root_gb=1),
)


class Asking(interface.Interface):
    """One question, asked and answered as the scheduler's."""

    TOPIC = "bench"
    VERSION = "1.0"

    @interface.call(since="1.0", timeout=30)
    def select_destinations(  # type: ignore[empty-body] # who answers fills it
        self, context: Context, spec: objects.RequestSpec
    ) -> objects.Selection:
        """Choose a host."""


class Answering(Asking):
    """A service that does nothing but answer, with objects of the usual size."""

    def select_destinations(self, context: Context, spec: objects.RequestSpec) -> objects.Selection:
        """Answer at once."""
        del context
        return objects.Selection(host="host1", consumer=spec.consumer, amounts={"VCPU": 1})


def measure_all(lab: labs.Lab) -> dict[str, list[Figure]]:
    """Measure the in-memory bus, and RabbitMQ as the lab runs it."""
    url = registry.find(lab.name).transport_url
    return {
        "RPC call, there and back": [
            measure("RabbitMQ", url),
            measure("in memory", "fake://"),
        ]
    }


def measure(name: str, url: str) -> Figure:
    """Time calls one after the other through one bus."""
    bus = Bus(load.private({"transport_url": url}))
    server = bus.serve(Answering(), "bench", 4)
    server.start()
    client = bus.client(Asking, server="bench")
    values = [_once(client) for _ in range(CALLS + 1)]
    server.stop()
    server.wait()
    bus.close()
    return Figure(name, "ms", values[1:])  # the first call also connects


def _once(client: Asking) -> float:
    began = time.perf_counter()
    client.select_destinations(contexts.admin(), SPEC)
    return 1000 * (time.perf_counter() - began)

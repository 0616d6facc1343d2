"""The story on simulated hypervisors, everything in one process: `make demo-sim`."""

import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from common import errors as product_errors
from common import images
from deploy.demo import errors
from deploy.demo import story
from deploy.demo import world
from deploy.demo.product import Product
from deploy.lab import errors as lab_errors
from deploy.lab import waiting
from services import together
from services.compute.virt.simulated import world as simulated

IMAGE = "guest"
FLAVOR = {"name": story.FLAVOR, "vcpus": 1, "ram": 128, "disk": 1}
NETWORK = {
    "name": "tenant",
    "provider:physical_network": "br-tenant",
    "cidr": "203.0.113.128/25",
}
UP_SECONDS = 20
TICK_SECONDS = 5
LISTEN_SECONDS = 0.002
# MiB a second: slow enough for a move to be watched.
OPTIONS = {"simulated.rate": 300.0}


class Ear(world.Ear):
    """Looks at the guest again and again: is there one of it, and what has it counted."""

    def __init__(self, simulation: simulated.World, server: str) -> None:
        self._simulation = simulation
        self._server = server
        self._ended = threading.Event()
        self._boots: list[str] = []
        self._ticks: list[int] = []
        self._gap = 0.0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> world.Heard:
        """Stop looking, and say what was seen."""
        self._ended.set()
        self._thread.join()
        if not self._ticks:
            raise errors.Untrue("the simulated guest was never seen")
        went_back = self._ticks != sorted(self._ticks)
        return world.Heard(
            self._boots, self._ticks[0], self._ticks[-1], went_back, self._gap * 1000
        )

    def _listen(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(LISTEN_SECONDS):
            with self._simulation.lock:
                hosts = self._simulation.running(self._server)
                if len(hosts) != 1:
                    continue
                boot = self._simulation.host(hosts[0]).guests[self._server].run_token
                tick = self._simulation.ticks(self._server)
            now = time.monotonic()
            self._gap = max(self._gap, now - last)
            last = now
            self._ticks.append(tick)
            if boot not in self._boots:
                self._boots.append(boot)


class Simulated(world.World):
    """Hosts in this process."""

    kind = "the simulated hypervisor"
    image = IMAGE
    network = NETWORK["name"]

    def __init__(self, services: together.Together, hosts: list[str]) -> None:
        self.hosts = hosts
        self.endpoint = services.endpoint
        self._simulation = services.world

    def running(self, server: str) -> list[str]:
        """Ask every simulated host."""
        return self._simulation.running(server)

    def wait_boot(self, server: str, address: str) -> None:
        """Wait for the guest's first tick."""
        waiting.until(
            lambda: self.running(server) and self._simulation.ticks(server),
            TICK_SECONDS,
            "a tick of the simulated guest",
        )

    def listen(self, server: str, address: str) -> Ear:
        """Look at the guest every few milliseconds."""
        return Ear(self._simulation, server)


@contextlib.contextmanager
def simulation() -> Iterator[Simulated]:
    """All services in this process, with a flavor, an image and a network."""
    hosts = ["host1", "host2"]
    with tempfile.TemporaryDirectory(prefix="whimbrel-sim-") as name:
        folder = Path(name)
        add_image(folder)
        with together.running(folder, hosts, OPTIONS) as services:
            product = Product(services.endpoint)
            wait_up(product, hosts)
            product.register("flavor", FLAVOR)
            product.register("network", NETWORK)
            yield Simulated(services, hosts)


def add_image(folder: Path) -> None:
    """Put a disk of random bytes into the image store."""
    disk = folder / "disk.raw"
    disk.write_bytes(os.urandom(1 << 20))
    store = folder / "images"
    store.mkdir()
    images.Directory(str(store)).add(disk, name=IMAGE)


def wait_up(product: Product, hosts: list[str]) -> None:
    """Return once the compute of every host reports."""
    waiting.until(lambda: product.computes().issuperset(hosts), UP_SECONDS, "every compute up")


def main() -> int:
    """Tell the story on a simulation; 0 only if everything was seen to be true."""
    logging.getLogger().setLevel(logging.WARNING)
    teller = story.Teller()
    teller.say("starting every service in this process, on simulated hosts")
    try:
        with simulation() as hosts:
            story.tell(hosts, teller)
    except (errors.Error, lab_errors.Error, product_errors.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    teller.say("arrived: guest, hypervisor and the API agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())

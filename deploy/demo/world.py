"""How a story looks at what is outside Whimbrel: the hypervisors and the guest itself."""

import abc
from typing import NamedTuple


class Heard(NamedTuple):
    """What a guest said while it was listened to; `gap_ms` is its longest silence."""

    boots: list[str]
    first_tick: int
    last_tick: int
    went_back: bool
    gap_ms: float


class Ear(abc.ABC):
    """Listens to one guest, from when it is made."""

    @abc.abstractmethod
    def close(self) -> Heard:
        """Stop listening; Untrue if the guest was never heard."""


class World(abc.ABC):
    """The hosts of one demo, two at least."""

    hosts: list[str]
    endpoint: str
    image: str
    network: str
    kind: str

    @abc.abstractmethod
    def running(self, server: str) -> list[str]:
        """The hosts whose hypervisor, asked now, says that it runs the server."""

    @abc.abstractmethod
    def wait_boot(self, server: str, address: str) -> None:
        """Return once the guest ticks; Untrue if it does not in time."""

    @abc.abstractmethod
    def listen(self, server: str, address: str) -> Ear:
        """Begin to listen to the guest."""

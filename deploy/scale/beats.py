"""Counting heartbeats: how many each host has sent, and how many it owes."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """What the table of services says of a host: how often it has reported, and when last."""

    host: str
    count: int
    at: float  # seconds


class Beats:
    """All reports of all hosts since the first look, host by host.

    A host reports a heartbeat after its last report at the latest. Between two
    looks at it so many are missed as would have fitted more: one that comes
    less than half a heartbeat late is late and not missed.
    """

    def __init__(self, heartbeat: float) -> None:
        self.heard = 0
        self._heartbeat = heartbeat
        self._last: dict[str, Report] = {}
        self._missed: dict[str, int] = {}

    def see(self, reports: Iterable[Report]) -> None:
        """Take a look: count what has come since the one before."""
        for now in reports:
            before = self._last.get(now.host)
            if before is not None and now.count > before.count:
                self.heard += now.count - before.count
                self._owe(now.host, now.at - before.at, now.count - before.count)
            self._last[now.host] = now

    def end(self, at: float) -> None:
        """Look no more, at this time: who has been silent since owes what would have come."""
        for host, last in self._last.items():
            self._owe(host, at - last.at, 1)

    @property
    def missed(self) -> int:
        """Give how many heartbeats did not come, of all hosts."""
        return sum(self._missed.values())

    @property
    def hosts(self) -> int:
        """Give how many hosts have missed any."""
        return len(self._missed)

    def _owe(self, host: str, seconds: float, came: int) -> None:
        owed = round(seconds / self._heartbeat) - came
        if owed > 0:
            self._missed[host] = self._missed.get(host, 0) + owed

"""Every weigher with the option that multiplies it; the heaviest host is the best."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from services.scheduler.weighers import capacity

if TYPE_CHECKING:
    from collections.abc import Callable

    from oslo_config.cfg import ConfigOpts

    from common.db.hosts import Room


class Weigher(NamedTuple):
    """A function of a host, and the option of [scheduler] that says what it counts."""

    weigh: Callable[[Room], float]
    option: str


WEIGHERS = [
    Weigher(capacity.ram, "ram_weight"),
]


def rank(conf: ConfigOpts, hosts: list[Room]) -> list[Room]:
    """Give the hosts, best first; equals in the order of their names.

    Each weigher's values are scaled to 0..1 over the hosts, so that the
    multipliers compare.
    """
    weights = dict.fromkeys((host.name for host in hosts), 0.0)
    for weigher in WEIGHERS:
        multiplier = getattr(conf.scheduler, weigher.option)
        for host, value in zip(hosts, _scale([weigher.weigh(host) for host in hosts]), strict=True):
            weights[host.name] += multiplier * value
    return sorted(hosts, key=lambda host: (-weights[host.name], host.name))


def _scale(values: list[float]) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low
    return [(value - low) / span if span else 0.0 for value in values]

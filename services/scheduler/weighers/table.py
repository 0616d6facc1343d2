"""Every weigher with the option that multiplies it; the heaviest host is the best.

A weigher of one's own is a function of the same shape under the entry point
group GROUP; it counts as [scheduler] own_weights says of its name.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common.db import claims
from common.db.candidates import Order
from services.scheduler import brought
from services.scheduler.weighers import capacity
from services.scheduler.weighers import groups
from services.scheduler.weighers import load

if TYPE_CHECKING:
    from typing import TypeAlias

    from oslo_config.cfg import ConfigOpts

    from common.db.hosts import Room
    from services.scheduler.request import Request

    Weigh: TypeAlias = Callable[[Room, Request], float]

GROUP = "whimbrel.scheduler.weighers"


class Weigher(NamedTuple):
    """A function of a host, the option that says what it counts, and the class it is about."""

    weigh: Weigh
    option: str
    kind: str | None = None  # of the inventory, where the database can sort by it


class Weighed(NamedTuple):
    """A weigher that counts."""

    name: str
    weigh: Weigh
    multiplier: float
    kind: str | None
    own: bool = False  # brought by another package: it may ask anything of a host


class Ranked(NamedTuple):
    """A host with its points by weigher."""

    host: Room
    scores: dict[str, float]

    @property
    def score(self) -> float:
        """Give the sum."""
        return sum(self.scores.values())


WEIGHERS: dict[str, Weigher] = {
    "ram": Weigher(capacity.ram, "ram_weight_multiplier", claims.MEMORY_MB),
    "cpu": Weigher(capacity.cores, "cpu_weight_multiplier", claims.VCPU),
    "disk": Weigher(capacity.disk, "disk_weight_multiplier", claims.DISK_GB),
    "io_ops": Weigher(load.io_ops, "io_ops_weight_multiplier"),
    "num_instances": Weigher(load.instances, "num_instances_weight_multiplier"),
    "soft_affinity": Weigher(groups.together, "soft_affinity_weight_multiplier"),
    "soft_anti_affinity": Weigher(groups.apart, "soft_anti_affinity_weight_multiplier"),
    "failures": Weigher(load.failures, "failure_weight_multiplier"),
}


def choose(conf: ConfigOpts) -> list[Weighed]:
    """Give the weighers whose multiplier is not 0; an unknown one of one's own raises Invalid."""
    own = conf.scheduler.own_weights
    wrong = sorted(own.keys() & WEIGHERS.keys())
    if wrong:
        raise errors.Invalid(
            f"[scheduler] own_weights names {', '.join(wrong)}, which has an option of its own: "
            f"{WEIGHERS[wrong[0]].option}"
        )
    loaded = brought.load("[scheduler] own_weights", GROUP, own, WEIGHERS)
    found = [
        Weighed(name, one.weigh, getattr(conf.scheduler, one.option), one.kind)
        for name, one in WEIGHERS.items()
    ]
    found += [
        Weighed(name, brought.weigh(name, loaded[name]), _number(name, own[name]), None, own=True)
        for name in own
    ]
    return [one for one in found if one.multiplier]


def orders(weighers: list[Weighed]) -> list[Order]:
    """Give by what the database sorts the hosts so that the best are among the first."""
    found = [Order(one.kind, one.multiplier > 0) for one in weighers if one.kind is not None]
    return found or [Order(claims.MEMORY_MB, most=True)]


def rank(
    weighers: list[Weighed], hosts: list[Room], request: Request, chance: random.Random
) -> list[Ranked]:
    """Give the hosts with their points, best first; equals in an order of chance.

    Each weigher's values are scaled to 0..1 over the hosts, so that the
    multipliers compare.
    """
    columns = {
        one.name: _scale([one.weigh(host, request) for host in hosts], one.multiplier)
        for one in weighers
    }
    ranked = [
        Ranked(host, {name: column[number] for name, column in columns.items()})
        for number, host in enumerate(hosts)
    ]
    chance.shuffle(ranked)
    return sorted(ranked, key=lambda one: -one.score)


def _scale(values: list[float], multiplier: float) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low
    return [multiplier * (value - low) / span if span else 0.0 for value in values]


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as wrong:
        raise errors.Invalid(
            f"[scheduler] own_weights gives {name} {text!r}, which is no number"
        ) from wrong

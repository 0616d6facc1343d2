"""Every filter by the name that [scheduler] enabled_filters knows it by: Nova's names.

A filter gives None for a host that will do, else the reason with numbers. To
add one, write the function and its row. A filter of one's own is a function of
the same shape under the entry point group GROUP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import checks
from common import errors
from common.db import claims
from services.scheduler import brought
from services.scheduler.filters import aggregates
from services.scheduler.filters import capacity
from services.scheduler.filters import groups
from services.scheduler.filters import hypervisor
from services.scheduler.filters import load
from services.scheduler.filters import service
from services.scheduler.filters import wishes

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Iterable
    from typing import TypeAlias

    from common import objects
    from common.db.candidates import Wanted
    from common.db.hosts import Room
    from services.scheduler.request import Request

    Refuse: TypeAlias = Callable[[Room, Request], str | None]
    Narrow: TypeAlias = Callable[[Wanted, Request], Wanted]

GROUP = "whimbrel.scheduler.filters"


def _agrees(_host: Room, _request: Request) -> str:
    return "it agrees"


def _as_it_is(wanted: Wanted, _request: Request) -> Wanted:
    return wanted


class Filter(NamedTuple):
    """What refuses a host, what it saw in one that it does not refuse, and its part in SQL.

    `narrow` lets the database leave out hosts that `refuse` would refuse; it
    need not know all of them.
    """

    refuse: Refuse
    seen: Callable[[Room, Request], str] = _agrees
    narrow: Narrow = _as_it_is
    own: bool = False  # brought by another package: it may ask anything of a host


class Named(NamedTuple):
    """A filter and its name."""

    name: str
    filter: Filter


def _free(kind: str) -> Narrow:
    return lambda wanted, request: wanted._replace(
        free={**wanted.free, kind: max(request.amounts.get(kind, 0), 0)}
    )


FILTERS: dict[str, Filter] = {
    "ComputeFilter": Filter(
        service.compute,
        service.heard,
        lambda wanted, request: wanted._replace(seen_since=request.seen_since, enabled=True),
    ),
    "RetryFilter": Filter(
        wishes.retry, narrow=lambda wanted, request: wanted.without(request.tried)
    ),
    "AvailabilityZoneFilter": Filter(
        wishes.zone,
        wishes.in_zone,
        lambda wanted, request: wanted._replace(zone=request.zone),
    ),
    "RamFilter": Filter(capacity.ram, capacity.free_ram, _free(claims.MEMORY_MB)),
    "CoreFilter": Filter(capacity.cores, capacity.free_cores, _free(claims.VCPU)),
    "DiskFilter": Filter(capacity.disk, capacity.free_disk, _free(claims.DISK_GB)),
    "DiskLeastFilter": Filter(capacity.disk_least, capacity.free_least),
    "OverPromisedFilter": Filter(capacity.over_promised),
    "IoOpsFilter": Filter(load.io_ops, load.work),
    "NumInstancesFilter": Filter(load.instances, load.living),
    "ComputeCapabilitiesFilter": Filter(hypervisor.capabilities),
    "ImagePropertiesFilter": Filter(hypervisor.image),
    "SameHostFilter": Filter(
        wishes.same, narrow=lambda wanted, request: wanted.among(request.same_hosts)
    ),
    "DifferentHostFilter": Filter(
        wishes.different, narrow=lambda wanted, request: wanted.without(request.different_hosts)
    ),
    "ServerGroupAffinityFilter": Filter(groups.together, groups.others, groups.only_together),
    "ServerGroupAntiAffinityFilter": Filter(groups.apart, groups.others, groups.only_apart),
    "AggregateInstanceExtraSpecsFilter": Filter(aggregates.extra_specs),
    "AggregateMultiTenancyIsolation": Filter(aggregates.tenants),
    # The ratio of an aggregate stands in the inventory, so these are as those of hosts.
    "AggregateRamFilter": Filter(capacity.ram, capacity.free_ram, _free(claims.MEMORY_MB)),
    "AggregateCoreFilter": Filter(capacity.cores, capacity.free_cores, _free(claims.VCPU)),
    "AggregateDiskFilter": Filter(capacity.disk, capacity.free_disk, _free(claims.DISK_GB)),
    "StoragePoolFilter": Filter(
        wishes.storage, narrow=lambda wanted, request: wanted.among(request.storage)
    ),
}


def choose(names: Collection[str]) -> list[Named]:
    """Give the filters of these names, in this order; one that there is not raises Invalid."""
    loaded = brought.load("[scheduler] enabled_filters", GROUP, names, FILTERS)
    own = {
        name: Filter(brought.refuse(name, function), own=True) for name, function in loaded.items()
    }
    return [Named(name, own[name] if name in own else FILTERS[name]) for name in names]


def narrow(filters: Iterable[Named], wanted: Wanted, request: Request) -> Wanted:
    """Add what the database can leave out for these filters."""
    for one in filters:
        wanted = one.filter.narrow(wanted, request)
    return wanted


def refusal(filters: Iterable[Named], host: Room, request: Request) -> tuple[str, str] | None:
    """Give the first filter that refuses the host, and its reason, or None."""
    for name, one in filters:
        reason = one.refuse(host, request)
        if reason is not None:
            return name, reason
    return None


def explain(filters: Iterable[Named], host: Room, request: Request) -> list[objects.CheckResult]:
    """Give the answer of each of these filters about the host."""
    return [_answer(one, host, request) for one in filters]


def _answer(one: Named, host: Room, request: Request) -> objects.CheckResult:
    reason = one.filter.refuse(host, request)
    if reason is not None:
        return checks.failed(one.name, host.name, errors.HostUnsuitable(reason))
    return checks.passed(one.name, host.name, one.filter.seen(host, request))

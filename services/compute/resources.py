"""The resource tracker: what this host has and uses, told when it changes."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

from common import objects

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from oslo_config.cfg import ConfigOpts

    from services.compute.virt.driver import Capacity

# A free number that drifts less than this part of the whole is told with the next full report.
DRIFT = 20
MIB_PER_GIB = 1024
# The one ratio that a host checks with itself.
DISK = "disk_allocation_ratio"


class Tracker:
    """Measures the host at every heartbeat, and tells only what the conductor does not know."""

    def __init__(
        self,
        conf: ConfigOpts,
        measure: Callable[[], Capacity],
        allow: Callable[[float], None],
        changed: threading.Event,
    ) -> None:
        """Know nothing told yet; whoever changes something on the host sets `changed`.

        `allow` takes the disk ratio that the conductor counts with.
        """
        self.changed = changed
        self._conf = conf
        self._measure = measure
        self._allow = allow
        self._told: Capacity | None = None
        self._found: Capacity | None = None
        self._quiet = 0  # heartbeats since the numbers were told

    def update_available_resource(self) -> objects.ComputeNode | None:
        """Measure the host; gives its numbers when they changed, or were not told for long.

        Raises what the hypervisor raises: a host that cannot be measured is
        not up, and its report is lost until it can.
        """
        self._found = self._measure()
        self._quiet += 1
        due = self._quiet >= self._conf.compute.report_all_every
        if not due and self._told is not None and same(self._told, self._found):
            return None
        return node(self._conf, self._found)

    def told(self, node: objects.ComputeNode | None, ratios: Mapping[str, float]) -> None:
        """Take note that the conductor has what was found last, and check with its ratio."""
        if DISK in ratios:
            self._allow(ratios[DISK])
        if node is not None:
            self._told, self._quiet = self._found, 0


def same(one: Capacity, other: Capacity) -> bool:
    """Tell whether nothing has changed that anybody decides by."""
    if _firm(one) != _firm(other):
        return False
    near = max(one.memory_mb // DRIFT, 1)
    return (
        abs(one.usage.memory_free_mb - other.usage.memory_free_mb) < near
        and abs(one.usage.disk_free_mb - other.usage.disk_free_mb) < MIB_PER_GIB
    )


def _firm(capacity: Capacity) -> tuple[object, ...]:
    """Give what does not drift; plain values first, for they are compared at every heartbeat."""
    usage = capacity.usage
    return (
        capacity.vcpus,
        capacity.memory_mb,
        capacity.local_gb,
        capacity.disk_available_least,
        capacity.running_vms,
        capacity.storage,
        {(*_size(guest), guest.run_token) for guest in usage.guests},
        {(disk.path, disk.virtual_bytes) for disk in usage.disks},
        {_size(guest) for guest in usage.foreign},
        capacity.facts,
        usage.cpu_info,
    )


def _size(guest: objects.HostGuest | objects.ForeignGuest) -> tuple[object, ...]:
    return guest.uuid, guest.power_state, guest.vcpus, guest.memory_mb, guest.disk_gb


def node(conf: ConfigOpts, capacity: Capacity) -> objects.ComputeNode:
    """Join what was measured with what is configured.

    The uuid derives from the host's name, so that a host that reports again
    after its database was restored is the same host.
    """
    return objects.ComputeNode(
        uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, conf.host)),
        host=conf.host,
        facts=capacity.facts,
        address=conf.libvirt.migration_address or conf.host,
        availability_zone=conf.compute.availability_zone,
        vcpus=capacity.vcpus,
        memory_mb=capacity.memory_mb,
        local_gb=capacity.local_gb,
        reserved_host_cpus=conf.compute.reserved_host_cpus,
        reserved_host_memory_mb=conf.compute.reserved_host_memory_mb,
        reserved_host_disk_mb=conf.compute.reserved_host_disk_mb,
        cpu_allocation_ratio=conf.compute.cpu_allocation_ratio,
        ram_allocation_ratio=conf.compute.ram_allocation_ratio,
        disk_allocation_ratio=conf.compute.disk_allocation_ratio,
        disk_available_least=capacity.disk_available_least,
        running_vms=capacity.running_vms,
        storage=capacity.storage,
        usage=capacity.usage,
    )

"""What this host has, in the form that the conductor keeps."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from common import objects

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from services.compute.virt.driver import Capacity


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
    )

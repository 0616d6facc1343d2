"""On what terms libvirt moves a guest: the flags and parameters of one live migration."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import libvirt

from common import objects

# The destination's definition is permanent before the guest runs there, and the source's goes
# only when the destination has confirmed: at every instant at least one host can start it.
ALWAYS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)
# What libvirt takes for "no limit", in MiB per second.
UNLIMITED: int = (1 << 63) // (1 << 20) - 1

Data = objects.LibvirtLiveMigrateData
Policy = objects.MigrationPolicy

FLAGS: tuple[tuple[int, Callable[[Data, Policy], bool]], ...] = (
    (libvirt.VIR_MIGRATE_NON_SHARED_INC, lambda data, _policy: copied(data)),
    (libvirt.VIR_MIGRATE_UNSAFE, lambda data, _policy: bool(data.unsafe)),
    (libvirt.VIR_MIGRATE_AUTO_CONVERGE, lambda _data, policy: bool(policy.auto_converge)),
    (libvirt.VIR_MIGRATE_POSTCOPY, lambda _data, policy: switches(policy)),
    (libvirt.VIR_MIGRATE_PARALLEL, lambda _data, policy: parallel(policy)),
    (libvirt.VIR_MIGRATE_COMPRESSED, lambda _data, policy: policy.compression != "none"),
    (libvirt.VIR_MIGRATE_TLS, lambda _data, policy: bool(policy.tls)),
)


def flags(data: Data, policy: Policy) -> int:
    """The VIR_MIGRATE_ flags of one move."""
    wanted: int = ALWAYS
    for flag, asked in FLAGS:
        if asked(data, policy):
            wanted |= flag
    return wanted


def resumption(data: Data, policy: Policy) -> int:
    """The flags that go on with a move that broke in post-copy."""
    again: int = libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_POSTCOPY_RESUME
    return flags(data, policy) | again


def parameters(data: Data, policy: Policy) -> dict[str, Any]:
    """The VIR_MIGRATE_PARAM_ values of one move."""
    address = data.destination_address
    given: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{bracketed(address)}"}
    if numeric(address):
        # A name may mean another address at the destination itself.
        given[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = address
    if copied(data):
        given[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [disk.target for disk in data.disks]
    return given | limits(policy) | means(policy)


def limits(policy: Policy) -> dict[str, Any]:
    """The bandwidth of pre-copy and disks, and the same of post-copy."""
    if not policy.bandwidth:
        return {}
    given = {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: policy.bandwidth}
    if switches(policy):
        given[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = policy.bandwidth
    return given


def means(policy: Policy) -> dict[str, Any]:
    """The values that belong to what the policy switches on."""
    given: dict[str, Any] = {}
    if policy.auto_converge:
        given[libvirt.VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL] = policy.auto_converge_initial
        given[libvirt.VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT] = policy.auto_converge_increment
    if parallel(policy):
        given[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = policy.parallel_connections
    if policy.compression != "none":
        given[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = [policy.compression]
    return given


def first_downtime(policy: Policy) -> int:
    """The milliseconds that the guest may stand still at first: the lowest rung, or the cap."""
    return min([*policy.ladder, policy.downtime_ms])


def copied(data: Data) -> bool:
    """Tell whether disks are copied."""
    return bool(data.block_migration and data.disks)


def switches(policy: Policy) -> bool:
    """Tell whether the move may switch to post-copy, by itself or by order."""
    return bool(policy.post_copy != "never")


def parallel(policy: Policy) -> bool:
    """Tell whether memory goes over several connections."""
    return bool(policy.parallel_connections > 1)


def numeric(address: str) -> bool:
    """Tell whether an address needs no resolving."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def bracketed(address: str) -> str:
    """An address as a URI takes it."""
    return f"[{address}]" if ":" in address else address

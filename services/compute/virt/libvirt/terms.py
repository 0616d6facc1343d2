"""On what terms libvirt moves a guest: the flags and parameters of one live migration."""

from __future__ import annotations

import ipaddress
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


def flags(data: objects.LibvirtLiveMigrateData) -> int:
    """The VIR_MIGRATE_ flags of one move."""
    wanted: int = ALWAYS
    if data.block_migration and data.disks:
        wanted |= libvirt.VIR_MIGRATE_NON_SHARED_INC
    if data.unsafe:
        wanted |= libvirt.VIR_MIGRATE_UNSAFE
    return wanted


def parameters(data: objects.LibvirtLiveMigrateData, bandwidth: int) -> dict[str, Any]:
    """The VIR_MIGRATE_PARAM_ values of one move; `bandwidth` in MiB per second, 0 without limit."""
    address = data.destination_address
    given: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{bracketed(address)}"}
    if numeric(address):
        # A name may mean another address at the destination itself.
        given[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = address
    if bandwidth:
        given[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = bandwidth
    if data.block_migration and data.disks:
        given[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [disk.target for disk in data.disks]
    return given


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

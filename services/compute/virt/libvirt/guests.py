"""The guests of this host, as libvirt sees them."""

from __future__ import annotations

import libvirt

from common import states
from services.compute.virt import driver
from services.compute.virt.libvirt import metadata
from services.compute.virt.libvirt import trouble

# SHUTDOWN means "is going down": its disks are open until it is SHUTOFF.
POWER: dict[int, states.Power] = {
    libvirt.VIR_DOMAIN_NOSTATE: states.Power.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: states.Power.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: states.Power.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: states.Power.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: states.Power.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: states.Power.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: states.Power.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: states.Power.PAUSED,
}

# How a guest is paused while its memory still comes in from another host.
INCOMING = frozenset({libvirt.VIR_DOMAIN_PAUSED_MIGRATION, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP})


def find(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain | None:
    """The guest's domain, or None."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if trouble.code(error) == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def power(domain: libvirt.virDomain) -> states.Power:
    """The power state; NOSTATE while the guest's memory still comes in from another host."""
    if incoming(domain):
        return states.Power.NOSTATE
    return POWER.get(domain.state()[0], states.Power.NOSTATE)


def incoming(domain: libvirt.virDomain) -> bool:
    """Tell whether this is the empty half of a running migration: nothing has run here yet.

    libvirt makes the definition permanent before it lets the guest run, so
    one that outlives its guest is never only incoming.
    """
    state, reason = domain.state()
    return state == libvirt.VIR_DOMAIN_PAUSED and reason in INCOMING and not domain.isPersistent()


def active(domain: libvirt.virDomain) -> bool:
    """Tell whether the guest has a process here that owns its memory, paused or not."""
    return bool(domain.isActive()) and not incoming(domain)


def describe(domain: libvirt.virDomain) -> driver.Guest:
    """What the contract tells of a guest."""
    return driver.Guest(
        uuid=domain.UUIDString(),
        power=power(domain),
        run_token=metadata.run_token(domain),
        permanent=bool(domain.isPersistent()),
    )


def every(connection: libvirt.virConnect) -> list[driver.Guest]:
    """Every guest; one that vanishes while it is looked at is left out."""
    found = []
    for domain in connection.listAllDomains():
        try:
            found.append(describe(domain))
        except libvirt.libvirtError as error:
            if trouble.code(error) != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return found

"""The guests of this host, as libvirt sees them."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import auto
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from typing import TypeVar

import libvirt

from common import errors
from common import states
from services.compute.virt import driver
from services.compute.virt.libvirt import metadata
from services.compute.virt.libvirt import trouble

T = TypeVar("T")

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

# How a guest runs, or waits, whose memory is still on the other host.
ARRIVING = frozenset(
    {
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY),
        (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED),
    }
)
RUN = Path("/run/libvirt/qemu")
KIB_PER_MIB = 1024

# What libvirt says of a guest that vanished, or of a transient one that shall be undefined.
GONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID})

# How a guest stands still that runs at its destination, or waits there for a broken link.
LEFT_BEHIND = frozenset(
    {libvirt.VIR_DOMAIN_PAUSED_POSTCOPY, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED}
)
# How a guest is paused while its memory still comes in from another host.
INCOMING = frozenset({libvirt.VIR_DOMAIN_PAUSED_MIGRATION, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP})


class Sized(NamedTuple):
    """A guest with the processors and the MiB that libvirt gives it at most."""

    guest: driver.Guest
    vcpus: int
    memory_mb: int


class Standing(Enum):
    """What a host has of a guest."""

    ABSENT = auto()
    OFF = auto()  # only its definition
    INCOMING = auto()  # the empty half of a running migration
    ACTIVE = auto()  # a process that owns its memory, paused or not


def find(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain | None:
    """The guest's domain, or None."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if trouble.code(error) == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def demand(connection: libvirt.virConnect, uuid: str, host: str) -> libvirt.virDomain:
    """Give the guest's domain, or raise GuestNotFound with the name of this host."""
    domain = find(connection, uuid)
    if domain is None:
        raise errors.GuestNotFound(f"{host} has no guest of server {uuid}")
    return domain


def power(domain: libvirt.virDomain) -> states.Power:
    """The power state; NOSTATE where the guest is only half: coming in, or left in post-copy."""
    if incoming(domain) or left_behind(domain):
        return states.Power.NOSTATE
    return POWER.get(domain.state()[0], states.Power.NOSTATE)


def incoming(domain: libvirt.virDomain) -> bool:
    """Tell whether this is the empty half of a running migration: nothing has run here yet.

    libvirt makes the definition permanent before it lets the guest run, so
    one that outlives its guest is never only incoming.
    """
    state, reason = domain.state()
    return state == libvirt.VIR_DOMAIN_PAUSED and reason in INCOMING and not domain.isPersistent()


def left_behind(domain: libvirt.virDomain) -> bool:
    """Tell whether this is the source's half of a guest that was switched to post-copy."""
    state, reason = domain.state()
    return state == libvirt.VIR_DOMAIN_PAUSED and reason in LEFT_BEHIND


def halved(domain: libvirt.virDomain) -> bool:
    """Tell whether the guest's memory is on two hosts, on whichever side this is."""
    return left_behind(domain) or arriving(domain)


def arriving(domain: libvirt.virDomain) -> bool:
    """Tell whether the guest runs here, or waits, while its memory is still on its source."""
    return tuple(domain.state()) in ARRIVING


def pid(domain: libvirt.virDomain, run: Path = RUN) -> int | None:
    """The process of a guest, as libvirt noted it; None when that cannot be read."""
    try:
        return int((run / f"{domain.name()}.pid").read_text())
    except (OSError, ValueError):
        return None


def standing(connection: libvirt.virConnect, uuid: str) -> Standing:
    """What a host has of a guest; one that vanishes while it is looked at is absent."""
    try:
        domain = find(connection, uuid)
        if domain is None:
            return Standing.ABSENT
        if incoming(domain):
            return Standing.INCOMING
        return Standing.ACTIVE if domain.isActive() else Standing.OFF
    except libvirt.libvirtError as error:
        if trouble.code(error) == libvirt.VIR_ERR_NO_DOMAIN:
            return Standing.ABSENT
        raise


def forget(connection: libvirt.virConnect, uuid: str, flags: int) -> None:
    """Remove the definition of a guest that does not run; one that is gone is fine."""
    try:
        connection.lookupByUUIDString(uuid).undefineFlags(flags)
    except libvirt.libvirtError as error:
        if trouble.code(error) not in GONE:
            raise


def describe(domain: libvirt.virDomain) -> driver.Guest:
    """What the contract tells of a guest."""
    return driver.Guest(
        uuid=domain.UUIDString(),
        power=power(domain),
        run_token=metadata.run_token(domain),
        permanent=bool(domain.isPersistent()),
        arriving=arriving(domain),
    )


def one(connection: libvirt.virConnect, uuid: str) -> driver.Guest | None:
    """One guest; None too when it vanishes while it is looked at."""
    domain = find(connection, uuid)
    return None if domain is None else _look(domain, describe)


def every(connection: libvirt.virConnect) -> list[driver.Guest]:
    """Every guest; one that vanishes while it is looked at is left out."""
    found = (_look(domain, describe) for domain in connection.listAllDomains())
    return [guest for guest in found if guest is not None]


def sized(connection: libvirt.virConnect) -> list[Sized]:
    """Every guest with its size; one that vanishes while it is looked at is left out."""
    found = (_look(domain, _measure) for domain in connection.listAllDomains())
    return [guest for guest in found if guest is not None]


def _measure(domain: libvirt.virDomain) -> Sized:
    _state, memory, _now, vcpus, _time = domain.info()
    return Sized(describe(domain), vcpus, math.ceil(memory / KIB_PER_MIB))


def _look(domain: libvirt.virDomain, read: Callable[[libvirt.virDomain], T]) -> T | None:
    try:
        return read(domain)
    except libvirt.libvirtError as error:
        if trouble.code(error) == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise

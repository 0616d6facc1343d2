"""Starting and stopping guests, and waiting for them to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libvirt
from oslo_log import log

from common import clock
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from services.compute.virt.libvirt import events

LOG = log.getLogger(__name__)

# A guest that is booting loses the power button's event, so it is pressed again.
PRESS = 3.0
LOOK = 0.5

# What libvirt says to a guest that is already where it should be.
THERE = frozenset({libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN})


def off(domain: libvirt.virDomain) -> None:
    """Pull the plug; a guest that is off stays off."""
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if trouble.code(error) not in THERE:
            raise


def shut_down(
    domain: libvirt.virDomain, timeout: float, told: events.Events, time: clock.Clock
) -> None:
    """Press the power button until the guest is off; pull the plug after `timeout` seconds."""
    begun = time.monotonic()
    pressed = begun - PRESS
    with told.waiter(domain.UUIDString()) as news:
        while domain.isActive():
            now = time.monotonic()
            if now - begun >= timeout:
                LOG.info("guest %s did not shut down in %s s", domain.UUIDString(), timeout)
                off(domain)
                return
            if now - pressed >= PRESS:
                press(domain)
                pressed = now
            news.get(min(LOOK, begun + timeout - now))


def press(domain: libvirt.virDomain) -> None:
    """Press the power button once; the guest may have gone off by itself."""
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    except libvirt.libvirtError as error:
        if trouble.code(error) not in THERE:
            raise


def pause(domain: libvirt.virDomain) -> None:
    """Stop the processors; a repeat is fine."""
    if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        domain.suspend()


def unpause(domain: libvirt.virDomain) -> None:
    """Let the processors go on; a repeat is fine."""
    if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def wake(domain: libvirt.virDomain) -> None:
    """Let a guest go on that QEMU stopped because its disk was full; one paused by a user stays."""
    if tuple(domain.state()) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR):
        domain.resume()

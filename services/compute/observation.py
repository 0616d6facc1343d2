"""What this host has of a guest, for whoever must decide where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import objects

if TYPE_CHECKING:
    from services.compute.deps import Deps


def observe(deps: Deps, instance: objects.Instance) -> objects.GuestSeen:
    """Ask the hypervisor, and nobody else: no row and no memory of this process counts."""
    guest = deps.threads.native(deps.driver.guest, instance.uuid)
    if guest is None:
        return objects.GuestSeen(host=deps.conf.host)
    job = deps.threads.native(deps.driver.job, instance.uuid)
    return objects.GuestSeen(
        host=deps.conf.host,
        power_state=int(guest.power),
        run_token=guest.run_token,
        job=job is not None or guest.arriving,
    )

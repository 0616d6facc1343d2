"""What the conductor's rows say of a live migration, for the move and for the dry run."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from common import checks
from common import errors
from common import states
from services.conductor import liveness
from services.conductor import placement
from services.conductor import refusals

if TYPE_CHECKING:
    from common import objects
    from common.db.engine import Tx
    from services.conductor.deps import Deps

ACTION = "os-migrateLive"


class Wish(NamedTuple):
    """A server that shall go to a host, or to any if that is None."""

    deps: Deps
    tx: Tx
    instance: objects.Instance
    host: str | None
    zone: str | None = None  # what the request says of zones, if anything


def state(wish: Wish) -> str:
    """Refuse a server that has no running guest."""
    found = wish.instance.vm_state
    if found not in states.MOVABLE:
        raise refusals.wrong_state(wish.instance, ACTION, "vm_state", found)
    return f"it is {found}"


def idle(wish: Wish) -> str:
    """Refuse a server to which something is being done."""
    task = wish.instance.task_state
    if task is not None:
        raise refusals.wrong_state(wish.instance, ACTION, "task_state", task)
    return "nothing else is being done to it"


def settled(wish: Wish) -> str:
    """Refuse a server whose last move left nobody knowing where its guest is."""
    refusals.settled(wish.tx, wish.instance, ACTION)
    return "no move of it waits to be resolved"


def elsewhere(wish: Wish) -> str:
    """Refuse the host that the server is on."""
    instance = wish.instance
    if wish.host == instance.host:
        raise errors.HostUnsuitable(
            f"server {instance.uuid} is on {wish.host} already; name another destination, or none"
        )
    return f"it is on {instance.host}"


def destination(wish: Wish) -> str:
    """Refuse a named host that is unknown or down."""
    if wish.host is not None:
        liveness.require(wish.deps, wish.tx, wish.host, "a destination")
    return "it is up"


def zone(wish: Wish) -> str:
    """Refuse a named host outside of the server's zone, unless the request says which zone."""
    conf, instance = wish.deps.conf, wish.instance
    wanted = placement.bounds(conf, instance, wish.zone)
    if wish.host is None or wanted is None:
        return "any zone will do"
    found = liveness.node(wish.deps, wish.tx, wish.host).availability_zone
    if found == wanted:
        return f"it is in availability zone {found}"
    if wish.zone is not None:
        raise errors.HostUnsuitable(
            f"{wish.host} is in availability zone {found}, and zone {wanted} is asked for"
        )
    raise errors.HostUnsuitable(
        f"{wish.host} is in availability zone {found}, and server {instance.uuid} belongs to "
        f"{wanted}; to let it leave its zone, ask for zone {found} or any (--zone)"
    )


def source(wish: Wish) -> str:
    """Refuse while the host that the server is on is down."""
    instance = wish.instance
    liveness.require(wish.deps, wish.tx, str(instance.host), f"left by server {instance.uuid}")
    return f"{instance.host} is up"


SOURCE = checks.Check("source", source)
SERVER = (
    checks.Check("state", state),
    checks.Check("task", idle),
    checks.Check("settled", settled),
    checks.Check("not-itself", elsewhere),
)
# In a dry run the scheduler's filters speak of the destination, and say more.
DRY = (*SERVER, SOURCE)
MOVE = (*SERVER, checks.Check("destination", destination), checks.Check("zone", zone), SOURCE)

"""The labs of this machine: their plans, their locks, the ports they hold."""

import dataclasses
import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.lab import processes
from deploy.lab import programs
from deploy.lab.plan import Plan

FIRST_PORTS = {"amqp": 5680, "dist": 25680, "epmd": 4380, "api": 8774}


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lab's lock, so that two commands do not change it at once, or raise Busy."""
    plans.ROOT.mkdir(parents=True, exist_ok=True)
    with (plans.ROOT / f".{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise errors.Busy(f"lab {name!r} is being changed by another command") from error
        yield


def reserve(plan: Plan) -> Plan:
    """The plan with ports of its own, remembered before anything is made of it."""
    with (plans.ROOT / ".ports.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        chosen = dataclasses.replace(plan, ports=choose_ports())
        save(chosen)
    return chosen


def save(plan: Plan) -> None:
    """Remember a plan."""
    plan.root.mkdir(parents=True, exist_ok=True)
    path = plan.root / "lab.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(plans.dump(plan), indent=1))


def recall(name: str) -> Plan | None:
    """The plan of a lab that was started and not taken down, if there is one."""
    try:
        return plans.load(json.loads((plans.ROOT / name / "lab.json").read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def known() -> list[Plan]:
    """Every lab that was started and not taken down."""
    names = sorted(path.parent.name for path in plans.ROOT.glob("*/lab.json"))
    return [plan for plan in map(recall, names) if plan]


def find(name: str) -> Plan:
    """The plan of a lab, or Unknown with the labs there are."""
    plan = recall(name)
    if plan is None:
        others = ", ".join(each.name for each in known()) or "none"
        raise errors.Unknown(
            f"there is no lab {name!r}", f"labs: {others}; start one: {programs.LAB} up"
        )
    return plan


def healthy(plan: Plan) -> bool:
    """Whether every service of a lab runs."""
    return all(
        processes.state(processes.recall(plan.root, *each)) == "running"
        for each in plan.everything()
    )


def choose_ports() -> plans.Ports:
    """Ports that nothing listens on and no other lab holds."""
    taken = {port for plan in known() for port in vars(plan.ports).values()}
    return plans.Ports(**{use: free(port, taken) for use, port in FIRST_PORTS.items()})


def free(port: int, taken: set[int]) -> int:
    """The first port from this one on that is neither held nor bound."""
    while port in taken or not bindable(port):
        port += 1
    return port


def bindable(port: int) -> bool:
    """Whether nothing listens on a port, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True

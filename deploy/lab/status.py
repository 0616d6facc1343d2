"""What runs in a lab and how to use it, as tables and shell variables."""

import shlex
from datetime import datetime
from datetime import UTC

from deploy.lab import broker
from deploy.lab import links
from deploy.lab import processes
from deploy.lab.plan import IMAGE
from deploy.lab.plan import NETWORK
from deploy.lab.plan import Plan

Row = tuple[str, ...]

HEAD = ("HOST", "SERVICE", "PID", "STATE", "SINCE")


def rows(plan: Plan) -> list[Row]:
    """Host, service, process id, state and start of every service."""
    return [row(plan, host, service) for host, service in plan.everything()]


def row(plan: Plan, host: str, service: str) -> Row:
    """One line of the table."""
    record = processes.recall(plan.root, host, service)
    state = processes.state(record)
    if record is None:
        return (host, service, "-", state, "-")
    since = datetime.fromtimestamp(record.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (host, service, str(record.pid), state, since)


def table(lines: list[Row]) -> str:
    """Lines with their columns aligned."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = (
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in shown)


def facts(plan: Plan) -> list[Row]:
    """How to look around in a lab."""
    lines: list[Row] = [
        ("subnet", f"{plan.subnet} (hosts {plan.control}, guests {plan.tenant})"),
        ("state", str(plan.root)),
        ("rabbitmqctl", broker.control(plan)),
    ]
    if not plan.bare:
        lines.append(("api", plan.endpoint))
    for host in plan.hosts:
        cut = ", ".join(links.cut_kinds(host))
        note = f"  (network cut: {cut})" if cut else ""
        lines.append((host.name, f"virsh -c {host.uri}{note}"))
    return lines


def variables(plan: Plan) -> dict[str, str]:
    """What tests and scripts need to know, as shell variables."""
    named = {f"WHIMBREL_LAB_URI_{host.name.upper()}": host.uri for host in plan.hosts}
    return {
        "WHIMBREL_ENDPOINT": plan.endpoint,
        "WHIMBREL_LAB_HOSTS": " ".join(host.name for host in plan.hosts),
        **named,
        "WHIMBREL_LAB_IMAGE": IMAGE,
        "WHIMBREL_LAB_NETWORK": NETWORK,
        "WHIMBREL_LAB_DIR": str(plan.root),
    }


def exports(plan: Plan) -> str:
    """The variables as lines for `eval`."""
    values = variables(plan).items()
    return "\n".join(f"export {key}={shlex.quote(value)}" for key, value in values)

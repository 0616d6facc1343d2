"""The lab's networks: two bridges in the root namespace, and two links into every host."""

import ipaddress
import json
import re
import shlex

from deploy.lab import errors
from deploy.lab import programs
from deploy.lab.plan import Host
from deploy.lab.plan import Plan
from deploy.lab.plan import TENANT_BRIDGE

FORWARDING = "3"
DISABLED = "0"
KINDS = ("control", "tenant")


def create(plan: Plan) -> None:
    """Make every namespace, bridge, link and address of the lab, and let its frames pass."""
    for host in plan.hosts:
        programs.call("ip", "netns", "add", host.netns)
    batch("", root_commands(plan))
    for host in plan.hosts:
        batch(host.netns, inner_commands(plan, host))
    for bridge in (plan.control_bridge, plan.tenant_bridge):
        # Docker's engine drops what its own rules do not name, bridged frames included.
        programs.call("iptables", "-w", "-I", *accept(plan, bridge))


def batch(netns: str, commands: list[str]) -> None:
    """Run ip commands in a namespace, or in the root one if its name is empty."""
    place = ("-n", netns) if netns else ()
    programs.call("ip", *place, "-batch", "-", feed="\n".join(commands) + "\n")


def root_commands(plan: Plan) -> list[str]:
    """The ip commands for the root namespace: bridges, their addresses, links to the hosts."""
    commands = []
    for bridge, address, network in (
        (plan.control_bridge, plan.controller_address, plan.control),
        (plan.tenant_bridge, plan.prober_address, plan.tenant),
    ):
        commands += [
            f"link add {bridge} type bridge stp_state 0 forward_delay 0",
            f"addr add {address}/{network.prefixlen} dev {bridge}",
            f"link set {bridge} up",
        ]
    for host in plan.hosts:
        for link, bridge, inner in (
            (host.control_link, plan.control_bridge, "eth0"),
            (host.tenant_link, plan.tenant_bridge, "eth1"),
        ):
            commands += [
                f"link add {link} type veth peer name {inner} netns {host.netns}",
                f"link set {link} master {bridge} up",
            ]
    return commands


def inner_commands(plan: Plan, host: Host) -> list[str]:
    """The ip commands inside a host: its address, and the bridge for its guests."""
    return [
        "link set lo up",
        f"addr add {host.address}/{plan.control.prefixlen} dev eth0",
        "link set eth0 up",
        f"link add {TENANT_BRIDGE} type bridge stp_state 0 forward_delay 0",
        f"link set eth1 master {TENANT_BRIDGE} up",
        f"link set {TENANT_BRIDGE} up",
    ]


def accept(plan: Plan, bridge: str) -> list[str]:
    """The firewall rule that lets a lab bridge forward; it is marked with the lab's name."""
    return [
        *("FORWARD", "-i", bridge, "-o", bridge),
        *("-m", "comment", "--comment", f"whimbrel-lab:{plan.name}", "-j", "ACCEPT"),
    ]


def check_free(plan: Plan) -> None:
    """Raise Busy if the subnet, or a name, is taken on this machine."""
    for entry in json.loads(programs.call("ip", "-j", "addr")):
        if entry.get("ifname") in {plan.control_bridge, plan.tenant_bridge}:
            raise errors.Busy(f"there is a network interface {entry['ifname']!r} already")
        for address in entry.get("addr_info", []):
            if overlaps(plan, address):
                raise errors.Busy(
                    f"subnet {plan.subnet} is in use: {entry['ifname']} has {address['local']}",
                    "choose another with --subnet CIDR (and --name NAME)",
                )


def overlaps(plan: Plan, address: dict[str, object]) -> bool:
    """Whether an address that `ip` shows lies in the lab's subnet, or its network covers it."""
    if address.get("family") != "inet":
        return False
    taken = ipaddress.IPv4Interface(f"{address['local']}/{address['prefixlen']}").network
    return taken.overlaps(ipaddress.IPv4Network(plan.subnet))


def remove(plan: Plan) -> None:
    """Remove links, bridges, namespaces and rules; what is gone already is no error.

    Names are looked up rather than derived, so that hosts of a former, larger
    lab of this name go too.
    """
    link = re.compile(rf"{plan.short}-(ctl|ten|h\d+[ct])")
    for entry in json.loads(programs.call("ip", "-j", "link")):
        if link.fullmatch(entry["ifname"]):
            programs.succeeds("ip", "link", "del", entry["ifname"])
    netns = re.compile(rf"{plan.short}-host\d+")
    for line in programs.call("ip", "netns", "list").splitlines():
        if netns.fullmatch(line.split()[0]):
            programs.succeeds("ip", "netns", "del", line.split()[0])
    remove_rules(plan)


def remove_rules(plan: Plan) -> None:
    """Remove the firewall rules that carry the lab's mark."""
    for line in programs.call("iptables", "-w", "-S", "FORWARD").splitlines():
        words = shlex.split(line)
        if f"whimbrel-lab:{plan.name}" in words:
            programs.succeeds("iptables", "-w", "-D", *words[1:])


def cut(host: Host, kinds: tuple[str, ...] = KINDS) -> None:
    """Drop every frame from and to a host, silently, as a broken switch would.

    The host's own links stay up: it is told nothing.
    """
    switch(host, kinds, DISABLED)


def heal(host: Host, kinds: tuple[str, ...] = KINDS) -> None:
    """Let a host's frames pass again."""
    switch(host, kinds, FORWARDING)


def switch(host: Host, kinds: tuple[str, ...], state: str) -> None:
    """Set the bridge ports of a host's links to forward or to drop."""
    links = {"control": host.control_link, "tenant": host.tenant_link}
    for kind in kinds:
        programs.call("bridge", "link", "set", "dev", links[kind], "state", state)


def cut_kinds(host: Host) -> list[str]:
    """Which of a host's networks are cut now."""
    links = {host.control_link: "control", host.tenant_link: "tenant"}
    shown = json.loads(programs.call("bridge", "-j", "link"))
    return [
        links[entry["ifname"]]
        for entry in shown
        if entry["ifname"] in links and entry.get("state") == "disabled"
    ]

"""What a lab consists of: names, addresses, ports and paths, all derived from a few choices."""

import hashlib
import ipaddress
import re
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.lab import errors

ROOT = Path("/var/lib/whimbrel-lab")
INSTANCES = "/var/lib/whimbrel/instances"
CONTROLLER = "controller"
CONTROLLER_SERVICES = ("rabbitmq", "conductor", "scheduler", "api")
HOST_SERVICES = ("libvirtd", "compute")
BARE_SERVICES = ("rabbitmq", "libvirtd")
FIRST_HOST = 11
LIBVIRT_PORT = 16509
LIBVIRT_TLS_PORT = 16514
TENANT_BRIDGE = "br-tenant"
IMAGE = "guest"
NETWORK = "tenant"
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
SHORT = 8


@dataclass(frozen=True)
class Ports:
    """TCP ports of the controller, chosen free when the lab starts."""

    amqp: int
    dist: int
    epmd: int
    api: int


@dataclass(frozen=True)
class Host:
    """One libvirt host: its namespaces, links and folders follow from its number."""

    lab: str
    number: int
    address: str
    root: Path

    @property
    def name(self) -> str:
        """What users, libvirt peers and Whimbrel call it."""
        return f"host{self.number}"

    @property
    def netns(self) -> str:
        """Its network namespace, as `ip netns` lists it."""
        return f"{self.lab}-{self.name}"

    @property
    def control_link(self) -> str:
        """The root side of its link to the other hosts and the controller."""
        return f"{self.lab}-h{self.number}c"

    @property
    def tenant_link(self) -> str:
        """The root side of its link to the network of the guests."""
        return f"{self.lab}-h{self.number}t"

    @property
    def folder(self) -> Path:
        """Everything that is its own on disk."""
        return self.root / "hosts" / self.name

    @property
    def namespaces(self) -> dict[str, Path]:
        """The files that keep its namespaces alive, by kind."""
        return {
            "net": Path("/run/netns") / self.netns,
            "mount": self.root / "ns" / f"{self.name}.mount",
            "uts": self.root / "ns" / f"{self.name}.uts",
        }

    @property
    def uri(self) -> str:
        """Its libvirt, from the root namespace and from every other host."""
        return f"qemu+tcp://{self.address}/system"


@dataclass(frozen=True)
class Plan:
    """The choices that make one lab; equal plans give equal labs."""

    name: str
    subnet: str
    count: int
    ports: Ports
    password: str
    shared: bool = False
    bare: bool = False
    database: str = ""
    virt_type: str = "qemu"
    tls: bool = False
    settings: tuple[str, ...] = ()

    @property
    def scheme(self) -> str:
        """How its hosts' libvirt talk to each other."""
        return "tls" if self.tls else "tcp"

    @property
    def root(self) -> Path:
        """The lab's state folder."""
        return ROOT / self.name

    @property
    def short(self) -> str:
        """A prefix that keeps interface names within the kernel's 15 characters."""
        if len(self.name) <= SHORT:
            return self.name
        return self.name[:4] + hashlib.sha256(self.name.encode()).hexdigest()[:4]

    @property
    def control_bridge(self) -> str:
        """The bridge of hosts and controller, in the root namespace."""
        return f"{self.short}-ctl"

    @property
    def tenant_bridge(self) -> str:
        """The bridge that joins the hosts' `br-tenant`, in the root namespace."""
        return f"{self.short}-ten"

    @property
    def control(self) -> ipaddress.IPv4Network:
        """The lower half of the subnet: hosts and controller."""
        return halves(self.subnet)[0]

    @property
    def tenant(self) -> ipaddress.IPv4Network:
        """The upper half of the subnet: guests."""
        return halves(self.subnet)[1]

    @property
    def controller_address(self) -> str:
        """Where the hosts reach the broker."""
        return str(self.control[1])

    @property
    def prober_address(self) -> str:
        """The root namespace's own address in the guests' network."""
        return str(self.tenant[1])

    @property
    def hosts(self) -> list[Host]:
        """The hosts, host1 first."""
        return [
            Host(self.short, number, str(self.control[FIRST_HOST + number - 1]), self.root)
            for number in range(1, self.count + 1)
        ]

    @property
    def endpoint(self) -> str:
        """The API's root, without its version."""
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def transport_url(self) -> str:
        """The broker, for oslo.messaging, from any namespace of the lab."""
        return f"rabbit://whimbrel:{self.password}@{self.controller_address}:{self.ports.amqp}/"

    @property
    def database_url(self) -> str:
        """The services' database: the one asked for, or an SQLite file of the lab's own."""
        return self.database or f"sqlite:///{self.root / 'db' / 'whimbrel.sqlite'}"

    def host(self, name: str) -> Host:
        """The host of that name, or Unknown with the names there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise errors.Unknown(f"lab {self.name!r} has no host {name!r}", f"it has: {known}")

    def services(self, host: str) -> tuple[str, ...]:
        """The services that belong on a host, or on the controller."""
        if host != CONTROLLER:
            self.host(host)
        every = CONTROLLER_SERVICES if host == CONTROLLER else HOST_SERVICES
        return tuple(name for name in every if name in BARE_SERVICES or not self.bare)

    def everything(self) -> list[tuple[str, str]]:
        """Every (host, service) of the lab, the controller's first."""
        places = [CONTROLLER, *(host.name for host in self.hosts)]
        return [(place, service) for place in places for service in self.services(place)]

    def check_service(self, host: str, service: str) -> None:
        """Raise Unknown unless that service belongs on that host."""
        if host != CONTROLLER and host not in {each.name for each in self.hosts}:
            known = ", ".join([CONTROLLER, *(each.name for each in self.hosts)])
            raise errors.Unknown(f"lab {self.name!r} has no host {host!r}", f"it has: {known}")
        if service not in self.services(host):
            known = ", ".join(self.services(host))
            raise errors.Unknown(f"{host} has no service {service!r}", f"it has: {known}")


def halves(subnet: str) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Network]:
    """The two halves of a subnet: for hosts, and for guests."""
    lower, upper = ipaddress.IPv4Network(subnet).subnets(prefixlen_diff=1)
    return lower, upper


def check(name: str, subnet: str, count: int) -> None:
    """Raise Unknown with the reason if no lab can be made of these choices."""
    if not NAME.fullmatch(name):
        raise errors.Unknown(
            f"{name!r} cannot name a lab", "use up to 32 of a-z, 0-9 and -, a letter first"
        )
    try:
        room = halves(subnet)[0].num_addresses - FIRST_HOST - 1
    except ValueError as error:
        raise errors.Unknown(
            f"{subnet!r} is no subnet: {error}", "write it like 198.51.100.0/24"
        ) from error
    if not 1 <= count <= room:
        raise errors.Unknown(f"{count} hosts do not fit in {subnet}", f"1 to {max(room, 0)} do")


def guest_mac(address: str) -> str:
    """The hardware address from which the guest reads its IPv4 address."""
    octets = ipaddress.IPv4Address(address).packed
    return "fa:16:" + ":".join(f"{octet:02x}" for octet in octets)


def dump(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, for the state folder."""
    return asdict(plan)


def load(values: dict[str, Any]) -> Plan:
    """The plan that `dump` wrote."""
    ports = Ports(**values["ports"])
    return Plan(**{**values, "ports": ports, "settings": tuple(values["settings"])})

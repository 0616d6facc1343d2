"""`whimbrel host ...` and `whimbrel service ...`."""

from __future__ import annotations

import abc
import argparse

from services.cli import api
from services.cli import command
from services.cli import find
from services.cli import numbers

COMPUTE = "nova-compute"


def used(kind: str, unit: str = "") -> command.Column:
    """Make the column of what is promised of what there is."""
    name = f"{kind} {unit}".strip()
    key = {"VCPUs": "vcpus", "Memory": "memory_mb", "Disk": "local_gb"}[kind]
    return name, lambda host: f"{host.get(f'{key}_used')}/{host.get(key)}"


def state(host: api.Row) -> str:
    """Say whether the host's compute service is heard of."""
    return "up" if (host.get("service") or {}).get("up") else "down"


def status(host: api.Row) -> str:
    """Say whether the host may be given servers."""
    return "disabled" if (host.get("service") or {}).get("disabled") else "enabled"


LISTED: tuple[command.Column, ...] = (
    ("Host", command.at("host")),
    ("State", state),
    ("Status", status),
    ("Zone", command.at("availability_zone")),
    used("VCPUs"),
    used("Memory", "MiB"),
    used("Disk", "GiB"),
    ("Running VMs", command.at("running_vms")),
    ("Over-promised", numbers.over_promised),
    ("Hypervisor", command.at("facts", "hypervisor_type")),
)

SHOWN: tuple[command.Column, ...] = (
    ("host", command.at("host")),
    ("state", state),
    ("status", status),
    ("disabled_reason", command.at("service", "disabled_reason")),
    ("last_seen", command.at("service", "last_seen")),
    ("availability_zone", command.at("availability_zone")),
    ("address", command.at("address")),
    ("over_promised", numbers.over_promised),
    ("vcpus", command.at("vcpus")),
    ("vcpus_used", numbers.used(numbers.VCPU)),
    ("vcpus_left", numbers.left(numbers.VCPU, "cpu_allocation_ratio")),
    ("memory_mb", command.at("memory_mb")),
    ("memory_mb_used", numbers.used(numbers.MEMORY)),
    ("free_ram_mb", numbers.free(numbers.MEMORY, "free_ram_mb")),
    ("memory_mb_left", numbers.left(numbers.MEMORY, "ram_allocation_ratio")),
    ("memory_free_mb", command.at("usage", "memory_free_mb")),
    ("local_gb", command.at("local_gb")),
    ("local_gb_used", numbers.used(numbers.DISK)),
    ("free_disk_gb", numbers.free(numbers.DISK, "free_disk_gb")),
    ("local_gb_left", numbers.left(numbers.DISK, "disk_allocation_ratio")),
    ("disk_available_least_gb", numbers.least),
    ("growing_disks", numbers.growing),
    ("shares_disks_with", lambda host: command.Lines(host.get("shares_disks_with") or [])),
    ("running_vms", command.at("running_vms")),
    ("current_workload", command.at("current_workload")),
    ("foreign_guests", numbers.foreign_guests),
    ("reserved_host_cpus", command.at("reserved_host_cpus")),
    ("reserved_host_memory_mb", command.at("reserved_host_memory_mb")),
    ("reserved_host_disk_mb", command.at("reserved_host_disk_mb")),
    ("cpu_allocation_ratio", command.at("cpu_allocation_ratio")),
    ("ram_allocation_ratio", command.at("ram_allocation_ratio")),
    ("disk_allocation_ratio", command.at("disk_allocation_ratio")),
    ("findings", lambda host: command.Lines(host.get("findings") or [])),
    ("architecture", command.at("facts", "architecture")),
    ("hypervisor_type", command.at("facts", "hypervisor_type")),
    ("hypervisor_version", command.at("facts", "hypervisor_version")),
    ("libvirt_version", command.at("facts", "libvirt_version")),
    ("virt_type", command.at("facts", "virt_type")),
    ("cpu_info", numbers.processor),
    ("supported_instances", numbers.workable),
    ("bridges", lambda host: command.Lines((host.get("facts") or {}).get("bridges") or [])),
    ("allocations", lambda host: command.Pairs(host.get("allocations") or {})),
    ("updated", command.at("updated_at")),
)

FINDINGS: tuple[command.Column, ...] = (
    ("Host", command.at("host")),
    ("Kind", command.at("kind")),
    ("Found", command.at("sentence")),
    ("Put right", lambda found: "yes" if found.get("repaired") else "no"),
)

SERVICES: tuple[command.Column, ...] = (
    ("ID", command.at("id")),
    ("Binary", command.at("binary")),
    ("Host", command.at("host")),
    ("Zone", command.at("zone")),
    ("Status", command.at("status")),
    ("State", command.at("state")),
    ("Forced down", command.at("forced_down")),
    ("Updated", command.at("updated_at")),
    ("Disabled Reason", command.at("disabled_reason")),
)


class ListHosts(command.List):
    """List hosts: what they have and what of it is promised."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the hosts."""
        return command.listed(LISTED, self.client.rows("/whimbrel/hosts", "hosts"))


class ShowHost(command.Show):
    """Show a host: all that its compute service reports, each number with what it is made of."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Ask for the host."""
        host = self.client.get(f"/whimbrel/hosts/{parsed_args.host}")["host"]
        return command.shown(SHOWN, host)


class AuditHosts(command.List):
    """Compare hosts with the records now; what is ours is put right, and no guest is touched."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", nargs="?", help="only this host")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Have them compared."""
        one = f"/{parsed_args.host}" if parsed_args.host else ""
        answer = self.client.send("POST", f"/whimbrel/hosts{one}/audit", {})
        return command.listed(FINDINGS, answer.body["findings"])


class ListServices(command.List):
    """List services: which report, and which are switched off."""

    def take_action(self, parsed_args: argparse.Namespace) -> command.Listed:
        """Ask for the services."""
        return command.listed(SERVICES, self.client.rows("/os-services", "services"))


class Switch(command.Show):
    """Change what is said of the service of a host."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add which one."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", help="its host, or its id")
        parser.add_argument("--binary", default=COMPUTE, help=f"{COMPUTE} unless told")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> command.Shown:
        """Order the change."""
        service = find.service(self.client, parsed_args.host, parsed_args.binary)
        path = f"/os-services/{service['id']}"
        answer = self.client.send("PUT", path, self._change(parsed_args))
        return command.shown(command.lower(SERVICES), answer.body["service"])

    @abc.abstractmethod
    def _change(self, parsed_args: argparse.Namespace) -> api.Row:
        """Give what is to be changed."""


class EnableService(Switch):
    """Let a host be given servers again."""

    def _change(self, parsed_args: argparse.Namespace) -> api.Row:
        return {"status": "enabled"}


class DisableService(Switch):
    """Give a host no more servers; those that it has go on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add why."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--reason", help="shown to whoever wonders")
        return parser

    def _change(self, parsed_args: argparse.Namespace) -> api.Row:
        reason = {"disabled_reason": parsed_args.reason} if parsed_args.reason else {}
        return {"status": "disabled", **reason}


class ForceDown(Switch):
    """Say that a host is off for good, so that nobody waits for it; make sure of it before."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add how to take it back."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--unset", action="store_true", help="take it back: the host is up when it reports"
        )
        return parser

    def _change(self, parsed_args: argparse.Namespace) -> api.Row:
        return {"forced_down": not parsed_args.unset}

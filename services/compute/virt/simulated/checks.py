"""What simulated hosts look at before a live migration: the rows that every driver shares."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from common import checks
from common import errors
from common import objects
from services.compute.virt import checks as plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.compute.virt.simulated import world as worlds


class Pair(NamedTuple):
    """Both hosts of a move, and what the destination told."""

    source: worlds.Host
    destination: worlds.Host
    instance: objects.Instance
    asked: bool | None
    data: objects.LibvirtLiveMigrateData
    cut: Collection[str]  # hosts that no other host can reach

    @property
    def shared(self) -> bool:
        """Whether the destination's test file is seen at the source."""
        return bool(self.data.is_shared)


DESTINATION: tuple[checks.Check[tuple[worlds.Host, objects.Instance]], ...] = (
    checks.Check(
        "architecture",
        lambda at: plain.architecture(at[0].name, plain.wanted(at[1]), at[0].facts),
    ),
    checks.Check("bridges", lambda at: bridges(*at)),
    checks.Check(
        "no-guest",
        lambda at: plain.absent(at[0].name, at[1].uuid, there=at[1].uuid in at[0].guests),
    ),
)

# What may be in the way of a move, but never of one that stays on its host.
NEW = frozenset({"no-guest"})

SOURCE: tuple[checks.Check[Pair], ...] = (
    checks.Check(
        "hypervisor",
        lambda at: plain.hypervisor(
            at.source.facts.hypervisor_type,
            at.source.facts.hypervisor_version,
            at.destination.facts,
        ),
    ),
    checks.Check("machine-type", lambda at: plain.machine("simulated", at.destination.facts)),
    checks.Check(
        "accelerator",
        lambda at: plain.accelerator(at.source.facts.virt_type, at.destination.facts),
    ),
    checks.Check("storage", lambda at: plain.storage(shared=at.shared, asked=at.asked, disks=1)),
    checks.Check("files", lambda at: plain.untouched(at.instance, at.data, shared=at.shared)),
    checks.Check("disk-space", lambda at: plain.room(at.data)),
    checks.Check("migration-ports", lambda at: reachable(at.destination.name, at.cut)),
)


def arrival(host: worlds.Host, instance: objects.Instance) -> list[objects.CheckResult]:
    """Check what the destination alone can tell."""
    rows = [row for row in DESTINATION if row.name not in NEW or instance.host != host.name]
    return checks.every(rows, host.name, (host, instance))


def departure(
    source: worlds.Host,
    destination: worlds.Host,
    instance: objects.Instance,
    disk: objects.DiskInfo,
    data: objects.LibvirtLiveMigrateData,
    cut: Collection[str],
) -> objects.CheckReport:
    """Check what needs both hosts, and decide block_migration."""
    shared = data.test_file in source.files
    block = plain.copied(shared=shared, asked=data.block_migration, disks=1)
    found = data.replace(is_shared=shared, block_migration=block, disks=[disk] if block else [])
    at = Pair(source, destination, instance, data.block_migration, found, cut)
    return objects.CheckReport(data=found, results=checks.every(SOURCE, destination.name, at))


def bridges(host: worlds.Host, instance: objects.Instance) -> str:
    """Refuse a host from which a bridge of the guest was taken."""
    present = {port.bridge for port in instance.ports} - host.without
    return plain.bridges(host.name, instance, present)


def reachable(host: str, cut: Collection[str]) -> str:
    """Refuse a host that others cannot reach."""
    if host in cut:
        raise errors.Unreachable(f"no connection to {host}: it is cut off")
    return f"{host} answers"

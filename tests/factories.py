"""Values for tests: whole, plausible, and different where they must be."""

from __future__ import annotations

import datetime
from typing import TypeVar

from common import ids
from common import objects
from common import states
from common.objects import base

V = TypeVar("V", bound=base.Value)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def flavor(**values) -> objects.Flavor:
    """Give a flavor of one core, 512 MiB and 1 GiB."""
    given = {"id": "1", "name": "m1.tiny", "vcpus": 1, "memory_mb": 512, "root_gb": 1}
    return _made(objects.Flavor(**{**given, **values}))


def image(**values) -> objects.Image:
    """Give an image of a raw disk."""
    given = {
        "id": ids.new(),
        "name": "guest",
        "file": "guest.raw",
        "checksum": "00",
        "size": 1,
        "disk_format": "raw",
    }
    return _made(objects.Image(**{**given, **values}))


def instance(**values) -> objects.Instance:
    """Give a building server of a tiny flavor."""
    given = {
        "uuid": ids.new(),
        "name": "vm",
        "project_id": "tests",
        "user_id": "tester",
        "flavor": flavor(),
    }
    return _made(objects.Instance(**{**given, **values}))


def migration(**values) -> objects.Migration:
    """Give an accepted live migration from host1."""
    given = {
        "uuid": ids.new(),
        "type": states.Kind.LIVE,
        "instance_uuid": ids.new(),
        "source": "host1",
        "request_id": "req-1",
        "user_id": "tester",
        "project_id": "tests",
    }
    return _made(objects.Migration(**{**given, **values}))


def cold_move(**values) -> objects.ColdMove:
    """Give what hosts know of a resize from one flavor to another of a server that ran."""
    given = {
        "migration_uuid": ids.new(),
        "old_flavor": flavor(id="old", name="old"),
        "new_flavor": flavor(id="new", name="new"),
        "was": states.Vm.ACTIVE,
    }
    return _made(objects.ColdMove(**{**given, **values}))


def policy(**values) -> objects.MigrationPolicy:
    """Give a plain policy, half a second of downtime at most."""
    return _made(objects.MigrationPolicy(**{"name": "balanced", "downtime_ms": 500, **values}))


def facts(**values) -> objects.HostFacts:
    """Give a QEMU host of x86."""
    given = {
        "architecture": "x86_64",
        "hypervisor_type": "QEMU",
        "hypervisor_version": 7002000,
    }
    return _made(objects.HostFacts(**{**given, **values}))


def node(host: str = "host1", **values) -> objects.ComputeNode:
    """Give a host of 4 cores, 4096 MiB and 40 GiB that keeps nothing for itself."""
    given = {
        "uuid": ids.new(),
        "host": host,
        "facts": facts(),
        "vcpus": 4,
        "memory_mb": 4096,
        "local_gb": 40,
    }
    return _made(objects.ComputeNode(**{**given, **values}))


def service(host: str = "host1", binary: str = "nova-compute", **values) -> objects.Service:
    """Give a service that has not reported."""
    given = {"uuid": ids.new(), "host": host, "binary": binary, "topic": "compute"}
    return _made(objects.Service(**{**given, **values}))


def network(**values) -> objects.Network:
    """Give a network with few addresses: .3 to .6 of 198.51.100.0/29."""
    given = {
        "id": ids.new(),
        "name": "tenant",
        "bridge": "br-tenant",
        "cidr": "198.51.100.0/29",
    }
    return _made(objects.Network(**{**given, **values}))


def step(migration: objects.Migration, **values) -> objects.MigrationStep:
    """Give a step that has begun on host2."""
    given = {
        "migration_uuid": migration.uuid,
        "step": "pre_live_migration",
        "host": "host2",
        "started_at": NOW,
    }
    return _made(objects.MigrationStep(**{**given, **values}))


def action(instance_uuid: str, **values) -> objects.InstanceAction:
    """Give an action that has begun."""
    given = {
        "request_id": "req-1",
        "instance_uuid": instance_uuid,
        "action": "live-migration",
        "user_id": "tester",
        "project_id": "tests",
        "started_at": NOW,
    }
    return _made(objects.InstanceAction(**{**given, **values}))


def aggregate(**values) -> objects.Aggregate:
    """Give an aggregate without hosts."""
    return _made(objects.Aggregate(**{"uuid": ids.new(), "name": "rack", **values}))


def server_group(**values) -> objects.ServerGroup:
    """Give a group whose members are to be apart."""
    given = {
        "uuid": ids.new(),
        "name": "web",
        "policy": states.Affinity.APART,
        "project_id": "tests",
        "user_id": "tester",
    }
    return _made(objects.ServerGroup(**{**given, **values}))


def spec(**values) -> objects.RequestSpec:
    """Give the question of a tiny server, vm, for any host."""
    given = {"instance_uuid": "vm", "consumer": "vm", "flavor": flavor()}
    return _made(objects.RequestSpec(**{**given, **values}))


def _made(value: V) -> V:
    """Give it as it is after a journey: equality minds what was changed since."""
    value.obj_reset_changes(recursive=True)
    return value

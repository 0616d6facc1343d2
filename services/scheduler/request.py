"""A request as the filters read it: plain values, for they run once per host."""

from __future__ import annotations

import datetime
from types import MappingProxyType
from typing import NamedTuple
from typing import TYPE_CHECKING

from common.db import affinity
from common.db import claims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oslo_config.cfg import ConfigOpts

    from common import objects
    from common.db.engine import Tx

NOTHING: Mapping[str, str] = MappingProxyType({})
NONE: Mapping[str, Mapping[str, int]] = MappingProxyType({})


class Request(NamedTuple):
    """What is asked of a host."""

    consumer: str
    amounts: dict[str, int]  # resource class: amount
    zone: str | None
    requested_host: str | None
    ignored: frozenset[str]  # the source, and others that are out of the question
    tried: Mapping[str, str] = NOTHING  # host that was tried already: why it was not
    late: Mapping[str, Mapping[str, int]] = NONE  # what the consumer holds of earlier requests
    server: str = ""  # whose group it is about; the claim may be another's
    project_id: str = ""
    extra_specs: Mapping[str, str] = NOTHING  # of the flavor
    image: Mapping[str, str] = NOTHING  # properties of the image
    same_hosts: frozenset[str] | None = None  # where the servers of the hint are; None: no hint
    different_hosts: frozenset[str] = frozenset()
    group: affinity.Group | None = None
    local_disk: bool = True  # whether the guest's disks are to be on the host's own disk
    storage: frozenset[str] | None = None  # hosts that reach the guest's disks; None: any
    disk_storage: str = ""  # where the guest's disks are already; empty: nowhere yet
    disk_over_commit: bool = False
    seen_since: datetime.datetime | None = None  # a service silent for longer is down
    max_io_ops: int = 8
    max_instances: int = 500

    @property
    def pool(self) -> str | None:
        """Give the place whose hosts come before all others: disks that are there may stay."""
        prefers = self.local_disk and self.disk_storage and self.requested_host is None
        return self.disk_storage if prefers else None


def read(tx: Tx, spec: objects.RequestSpec, conf: ConfigOpts, now: datetime.datetime) -> Request:
    """Take out of the specification what a host is measured by, and look up its hints."""
    hints = spec.hints
    different = hints.get("different_host", [])
    # Who followed a server that is gone by now follows nobody.
    same = affinity.living(tx, hints.get("same_host", []))
    return Request(
        consumer=spec.consumer,
        amounts=claims.amounts(spec.flavor, spec.image),
        zone=spec.availability_zone,
        requested_host=spec.requested_host,
        ignored=frozenset(spec.ignore_hosts),
        tried=spec.tried,
        late=claims.late(tx, spec.consumer),
        server=spec.instance_uuid,
        project_id=spec.project_id,
        extra_specs=spec.flavor.extra_specs,
        image=spec.image.properties if spec.image else NOTHING,
        same_hosts=affinity.hosts(tx, same) if same else None,
        different_hosts=affinity.hosts(tx, different) if different else frozenset(),
        group=affinity.group(tx, spec.instance_uuid, next(iter(hints.get("group", [])), None)),
        local_disk=spec.local_disk,
        storage=None if spec.storage is None else frozenset(spec.storage),
        disk_storage=spec.disk_storage,
        disk_over_commit=spec.disk_over_commit,
        seen_since=now - datetime.timedelta(seconds=conf.service.down_after),
        max_io_ops=conf.scheduler.max_io_ops_per_host,
        max_instances=conf.scheduler.max_instances_per_host,
    )

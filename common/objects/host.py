"""Hosts and the services on them."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import moment


@VersionedObjectRegistry.register
class Service(base.Value):
    """One process that reports; it is up while its reports are young enough."""

    VERSION = "1.0"
    fields = {
        "id": fields.IntegerField(nullable=True),
        "uuid": fields.StringField(),
        "host": fields.StringField(),
        "binary": fields.StringField(),  # nova-compute and so on, as clients expect
        "topic": fields.StringField(),
        "zone": fields.StringField(default="internal"),
        "disabled": fields.BooleanField(default=False),
        "disabled_reason": fields.StringField(nullable=True),
        "forced_down": fields.BooleanField(default=False),
        "report_count": fields.IntegerField(default=0),
        "last_seen": moment.MomentField(nullable=True),
        "updated_at": moment.MomentField(nullable=True),
        "up": fields.BooleanField(default=False),  # as of reading
    }


@VersionedObjectRegistry.register
class HostFacts(base.Value):
    """What a hypervisor is, as far as it decides who can run there.

    `features` are what a move may use: post-copy, post-copy-recovery, parallel,
    parallel-post-copy, auto-converge, tls, and for each usable compression its
    method: xbzrle, zlib, zstd.
    """

    VERSION = "1.1"
    ADDED = {"1.1": {"features": []}}
    fields = {
        "architecture": fields.StringField(),
        "hypervisor_type": fields.StringField(),
        "hypervisor_version": fields.IntegerField(),  # libvirt's number: 7002000 is 7.2.0
        "libvirt_version": fields.IntegerField(default=0),
        "virt_type": fields.StringField(default="qemu"),
        "machine_types": fields.ListOfStringsField(default=[]),
        "cpu": fields.StringField(default=""),  # libvirt's <cpu> of the host
        "bridges": fields.ListOfStringsField(default=[]),
        "features": fields.ListOfStringsField(default=[]),
    }


@VersionedObjectRegistry.register
class ComputeNode(base.Value):
    """What a hypervisor has and uses; names and meanings are Nova's.

    *_used count what is promised (allocations and reserved), free_* the rest
    of it; disk_available_least and running_vms are measured.
    """

    VERSION = "1.0"
    fields = {
        "id": fields.IntegerField(nullable=True),
        "uuid": fields.StringField(),
        "host": fields.StringField(),
        "facts": fields.ObjectField("HostFacts"),
        "address": fields.StringField(default=""),
        "availability_zone": fields.StringField(default="nova"),
        "vcpus": fields.IntegerField(),
        "memory_mb": fields.IntegerField(),
        "local_gb": fields.IntegerField(),
        "reserved_vcpus": fields.IntegerField(default=0),
        "reserved_memory_mb": fields.IntegerField(default=0),
        "reserved_gb": fields.IntegerField(default=0),
        "cpu_ratio": fields.FloatField(default=1.0),
        "ram_ratio": fields.FloatField(default=1.0),
        "disk_ratio": fields.FloatField(default=1.0),
        "disk_available_least": fields.IntegerField(nullable=True),  # GiB
        "running_vms": fields.IntegerField(default=0),
        # filled when read: from allocations
        "vcpus_used": fields.IntegerField(default=0),
        "memory_mb_used": fields.IntegerField(default=0),
        "local_gb_used": fields.IntegerField(default=0),
        "service": fields.ObjectField("Service", nullable=True),
        "updated_at": moment.MomentField(nullable=True),
    }

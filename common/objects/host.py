"""Hosts and the services on them."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import moment
from common.objects.usage import HostUsage  # noqa: F401 - the field's type for mypy


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
    method: xbzrle, zlib, zstd. Whether the certificates for tls are there is told
    by `tls_fault` and `tls_doubt`, as sentences; empty where nothing is wrong.
    """

    VERSION = "1.1"
    ADDED = {"1.1": {"features": [], "cpu_features": [], "tls_fault": "", "tls_doubt": ""}}
    fields = {
        "architecture": fields.StringField(),
        "hypervisor_type": fields.StringField(),
        "hypervisor_version": fields.IntegerField(),  # libvirt's number: 7002000 is 7.2.0
        "libvirt_version": fields.IntegerField(default=0),
        "virt_type": fields.StringField(default="qemu"),
        "machine_types": fields.ListOfStringsField(default=[]),
        "cpu": fields.StringField(default=""),  # libvirt's <cpu> of the host
        "cpu_features": fields.ListOfStringsField(default=[]),  # of it, its model's too
        "bridges": fields.ListOfStringsField(default=[]),
        "features": fields.ListOfStringsField(default=[]),
        "tls_fault": fields.StringField(default=""),
        "tls_doubt": fields.StringField(default=""),
    }


@VersionedObjectRegistry.register
class ComputeNode(base.Value):
    """What a hypervisor has and uses; names and meanings are Nova's.

    *_used count what the host keeps for itself, what foreign guests use and
    what is promised; disk_available_least and running_vms are measured.
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
        "reserved_host_cpus": fields.IntegerField(default=0),
        "reserved_host_memory_mb": fields.IntegerField(default=0),
        "reserved_host_disk_mb": fields.IntegerField(default=0),
        "cpu_allocation_ratio": fields.FloatField(default=1.0),
        "ram_allocation_ratio": fields.FloatField(default=1.0),
        "disk_allocation_ratio": fields.FloatField(default=1.0),
        "disk_available_least": fields.IntegerField(nullable=True),  # GiB
        "running_vms": fields.IntegerField(default=0),
        "storage": fields.StringField(default=""),  # equal where instances_path is one directory
        "usage": fields.ObjectField("HostUsage", nullable=True),
        # filled when read: from usage, from allocations, and from the servers there
        "foreign_vcpus": fields.IntegerField(default=0),
        "foreign_memory_mb": fields.IntegerField(default=0),
        "foreign_gb": fields.IntegerField(default=0),
        "vcpus_used": fields.IntegerField(default=0),
        "memory_mb_used": fields.IntegerField(default=0),
        "local_gb_used": fields.IntegerField(default=0),
        "current_workload": fields.IntegerField(default=0),  # servers that something is done to
        "over_promised": fields.DictOfIntegersField(default={}),  # resource class: too much
        "service": fields.ObjectField("Service", nullable=True),
        "updated_at": moment.MomentField(nullable=True),  # when something last changed
    }

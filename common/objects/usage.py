"""What a host measured of itself: its file system, its disks, and every guest on it."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base


@VersionedObjectRegistry.register
class CpuInfo(base.Value):
    """The processors of a host as the hypervisor knows them."""

    VERSION = "1.0"
    fields = {
        "arch": fields.StringField(default=""),
        "vendor": fields.StringField(default=""),
        "model": fields.StringField(default=""),
        "features": fields.ListOfStringsField(default=[]),
        "cells": fields.IntegerField(default=1),  # NUMA nodes
        "sockets": fields.IntegerField(default=1),  # of each cell
        "cores": fields.IntegerField(default=1),
        "threads": fields.IntegerField(default=1),
    }


@VersionedObjectRegistry.register
class GuestKind(base.Value):
    """A kind of guest that a host can run: x86_64, kvm, hvm."""

    VERSION = "1.0"
    fields = {
        "architecture": fields.StringField(),
        "hypervisor_type": fields.StringField(),
        "vm_mode": fields.StringField(),
    }


@VersionedObjectRegistry.register
class GrowingDisk(base.Value):
    """A disk file that may still grow: thin qcow2, or a raw file with holes."""

    VERSION = "1.0"
    fields = {
        "instance_uuid": fields.StringField(),
        "path": fields.StringField(),
        "virtual_bytes": fields.IntegerField(),
        "allocated_bytes": fields.IntegerField(),
        "may_grow_bytes": fields.IntegerField(),
    }


@VersionedObjectRegistry.register
class HostGuest(base.Value):
    """A guest of ours that a host has; an empty run token was made by an older hand.

    Its sizes are the hypervisor's; one that is 0 is not known.
    """

    VERSION = "1.0"
    fields = {
        "uuid": fields.StringField(),
        "power_state": fields.IntegerField(),
        "run_token": fields.StringField(default=""),
        "vcpus": fields.IntegerField(default=0),
        "memory_mb": fields.IntegerField(default=0),
        "disk_gb": fields.IntegerField(default=0),  # of all its disks, by what they may grow to
    }


@VersionedObjectRegistry.register
class ForeignGuest(base.Value):
    """A domain that Whimbrel did not make; whether it runs or not, its share is its owner's."""

    VERSION = "1.0"
    fields = {
        "uuid": fields.StringField(),
        "name": fields.StringField(),
        "power_state": fields.IntegerField(default=0),
        "vcpus": fields.IntegerField(default=0),
        "memory_mb": fields.IntegerField(default=0),
        "disk_gb": fields.IntegerField(default=0),  # on the file system of our guests
    }


@VersionedObjectRegistry.register
class HostUsage(base.Value):
    """What was measured on a host, sent when it changes."""

    VERSION = "1.0"
    fields = {
        "memory_free_mb": fields.IntegerField(default=0),
        "disk_free_mb": fields.IntegerField(default=0),
        "disks": fields.ListOfObjectsField("GrowingDisk", default=[]),
        "guests": fields.ListOfObjectsField("HostGuest", default=[]),
        "foreign": fields.ListOfObjectsField("ForeignGuest", default=[]),
        "cpu_info": fields.ObjectField("CpuInfo", nullable=True),
        "supported_instances": fields.ListOfObjectsField("GuestKind", default=[]),
    }

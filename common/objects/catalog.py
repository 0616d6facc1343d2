"""What a server is made from: flavor, image, network."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base


@VersionedObjectRegistry.register
class Flavor(base.Value):
    """The size of a server; each server keeps a copy of its own."""

    VERSION = "1.0"
    fields = {
        "id": fields.StringField(),
        "name": fields.StringField(),
        "vcpus": fields.IntegerField(),
        "memory_mb": fields.IntegerField(),  # MiB
        "root_gb": fields.IntegerField(),  # GiB
        "ephemeral_gb": fields.IntegerField(default=0),  # GiB
        "swap_mb": fields.IntegerField(default=0),  # MiB
        "is_public": fields.BooleanField(default=True),
        "disabled": fields.BooleanField(default=False),
        "description": fields.StringField(nullable=True),
        "extra_specs": fields.DictOfStringsField(default={}),
    }


@VersionedObjectRegistry.register
class Image(base.Value):
    """A file of the image store, with its SHA-256 checksum.

    Properties that are used: kernel_id, ramdisk_id, os_command_line,
    hw_architecture (x86_64 when absent).
    """

    VERSION = "1.0"
    fields = {
        "id": fields.StringField(),
        "name": fields.StringField(),
        "file": fields.StringField(),  # relative to the store
        "checksum": fields.StringField(),  # sha256, hexadecimal
        "size": fields.IntegerField(),  # bytes
        "disk_format": fields.StringField(),  # raw qcow2 aki ari
        "min_disk": fields.IntegerField(default=0),  # GiB
        "min_ram": fields.IntegerField(default=0),  # MiB
        "properties": fields.DictOfStringsField(default={}),
    }


@VersionedObjectRegistry.register
class Network(base.Value):
    """A bridge that has the same name on every host, and the addresses given out on it."""

    VERSION = "1.0"
    fields = {
        "id": fields.StringField(),
        "name": fields.StringField(),
        "bridge": fields.StringField(),
        "cidr": fields.StringField(nullable=True),
        "pool_start": fields.StringField(nullable=True),
        "pool_end": fields.StringField(nullable=True),
    }


@VersionedObjectRegistry.register
class Port(base.Value):
    """One network card of a server."""

    VERSION = "1.0"
    fields = {
        "id": fields.StringField(),
        "network_id": fields.StringField(),
        "network": fields.StringField(),  # the network's name
        "bridge": fields.StringField(),
        "mac": fields.StringField(),
        "address": fields.StringField(nullable=True),  # IPv4
    }

"""How one live migration is made to converge: what may be asked of its guest, and when."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base


@VersionedObjectRegistry.register
class MigrationPolicy(base.Value):
    """The policy of one move, whole: common.migration_policy makes it of its layers.

    `ladder` is the downtime in milliseconds by iteration; `downtime_ms` follows
    its last rung and caps all of them.
    """

    VERSION = "1.0"
    fields = {
        "name": fields.StringField(),  # the preset that it began with
        "downtime_ms": fields.IntegerField(),
        "ladder": fields.ListOfIntegersField(default=[]),
        "completion_timeout": fields.IntegerField(default=0),  # seconds; 0: none
        "completion_timeout_per_gib": fields.IntegerField(default=0),  # seconds; 0: none
        "on_timeout": fields.StringField(default="abort"),  # abort, post-copy, pause
        "auto_converge": fields.BooleanField(default=False),
        "auto_converge_initial": fields.IntegerField(default=20),  # percent
        "auto_converge_increment": fields.IntegerField(default=10),  # percent
        "post_copy": fields.StringField(default="never"),  # never, on-timeout, on-stall
        "stall_window": fields.IntegerField(default=60),  # seconds
        "allow_paused": fields.BooleanField(default=False),  # may the guest stand still to finish
        "parallel_connections": fields.IntegerField(default=1),
        "bandwidth": fields.IntegerField(default=0),  # MiB per second; 0: no limit
        "compression": fields.StringField(default="none"),  # none, xbzrle, zlib, zstd
        "tls": fields.BooleanField(default=False),
    }

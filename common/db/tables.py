"""The tables: data only, the same on SQLite, PostgreSQL and MariaDB.

Every index answers a question that is asked again and again; the migrations
table without one is what slowed Nova's computes down (its bug 2121465).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean
from sqlalchemy import Column
from sqlalchemy import Float
from sqlalchemy import ForeignKey
from sqlalchemy import Index
from sqlalchemy import Integer
from sqlalchemy import JSON
from sqlalchemy import String
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import UniqueConstraint

from common.db import columns
from common.db.columns import Moment
from common.db.columns import Stored

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_UUID = String(36)
_NAME = String(255)
_WORD = String(64)


SERVICES = Table(
    "services",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", _UUID, nullable=False, unique=True),
    Column("host", _NAME, nullable=False),
    Column("binary", _WORD, nullable=False),
    Column("topic", _WORD, nullable=False),
    Column("zone", _NAME, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("forced_down", Boolean, nullable=False),
    Column("report_count", Integer, nullable=False),
    Column("last_seen", Moment),
    Column("updated_at", Moment),
    UniqueConstraint("host", "binary"),
)

COMPUTE_NODES = Table(
    "compute_nodes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", _UUID, nullable=False, unique=True),
    Column("host", _NAME, nullable=False, unique=True),
    Column("facts", Stored, nullable=False),
    Column("address", _NAME, nullable=False),
    Column("availability_zone", _NAME, nullable=False),
    Column("disk_available_least", Integer),
    Column("running_vms", Integer, nullable=False),
    Column("usage", Stored),
    Column("storage", _UUID, nullable=False, server_default="", index=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failed_at", Moment, index=True),
    Column("updated_at", Moment),
)

# `used` is the sum of the class's allocations, kept by whoever writes one. `foreign_used` is
# what the host reports of guests that Whimbrel did not make. `ratio` holds: the lowest of the
# host's aggregates, or else `own_ratio`, the one that it reports.
INVENTORY = Table(
    "inventory",
    METADATA,
    Column("host", _NAME, ForeignKey("compute_nodes.host"), primary_key=True),
    Column("class", _WORD, primary_key=True),
    Column("total", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("ratio", Float(53), nullable=False),
    Column("own_ratio", Float(53)),
    Column("used", Integer, nullable=False, server_default="0"),
    Column("foreign_used", Integer, nullable=False, server_default="0"),
)


def free(inventory: sa.ColumnCollection[str, sa.ColumnElement[Any]]) -> sa.ColumnElement[int]:
    """Give what may still be promised of a class, as claims.Amount counts it.

    Revision 0003 has an index of just this; it is not compared with these
    tables, for each database gives such an expression back in its own words.
    """
    can = columns.Whole((inventory.total - inventory.reserved) * inventory.ratio)
    return can - inventory.used - inventory.foreign_used


ALLOCATIONS = Table(
    "allocations",
    METADATA,
    Column("consumer", _UUID, primary_key=True),
    Column("host", _NAME, ForeignKey("compute_nodes.host"), primary_key=True),
    Column("class", _WORD, primary_key=True),
    Column("amount", Integer, nullable=False),
    Index(None, "host", "class"),
)

AGGREGATES = Table(
    "aggregates",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", _UUID, nullable=False, unique=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("availability_zone", _NAME),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
)

AGGREGATE_HOSTS = Table(
    "aggregate_hosts",
    METADATA,
    Column("aggregate_id", Integer, ForeignKey("aggregates.id"), primary_key=True),
    Column("host", _NAME, ForeignKey("compute_nodes.host"), primary_key=True, index=True),
)

SERVER_GROUPS = Table(
    "server_groups",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", _UUID, nullable=False, unique=True),
    Column("name", _NAME, nullable=False),
    Column("policy", _WORD, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("project_id", _NAME, nullable=False, index=True),
    Column("user_id", _NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
)

SERVER_GROUP_MEMBERS = Table(
    "server_group_members",
    METADATA,
    Column("instance_uuid", _UUID, primary_key=True),
    Column("group_uuid", _UUID, ForeignKey("server_groups.uuid"), nullable=False, index=True),
)

FLAVORS = Table(
    "flavors",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("id", _NAME, nullable=False, unique=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("root_gb", Integer, nullable=False),
    Column("ephemeral_gb", Integer, nullable=False),
    Column("swap_mb", Integer, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("description", Text),
    Column("extra_specs", JSON, nullable=False),
)

NETWORKS = Table(
    "networks",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("id", _UUID, nullable=False, unique=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("bridge", String(32), nullable=False),
    Column("cidr", _WORD),
    Column("pool_start", _WORD),
    Column("pool_end", _WORD),
)

SERVERS = Table(
    "servers",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", _UUID, nullable=False, unique=True),
    Column("name", _NAME, nullable=False),
    Column("hostname", _NAME, nullable=False),
    Column("description", Text),
    Column("project_id", _NAME, nullable=False),
    Column("user_id", _NAME, nullable=False),
    Column("host", _NAME),
    Column("availability_zone", _NAME),
    Column("pinned_zone", _NAME),
    Column("vm_state", _WORD, nullable=False),
    Column("task_state", _WORD),
    Column("power_state", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("run_token", _UUID, nullable=False),
    Column("flavor", Stored, nullable=False),
    Column("flavor_id", _NAME, nullable=False),
    Column("flavor_name", _NAME, nullable=False),
    Column("image", Stored),
    Column("image_id", _NAME),
    Column("kernel", Stored),
    Column("ramdisk", Stored),
    Column("metadata", JSON, nullable=False),
    Column("hints", JSON),
    # What the search for a host goes on from: {"requested": host, "alternates": [host]}.
    Column("placement", JSON),
    Column("progress", Integer, nullable=False),
    Column("fault_code", _WORD),
    Column("fault_message", Text),
    Column("fault_reasons", JSON),
    Column("fault_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("launched_at", Moment),
    Column("terminated_at", Moment),
    Index(None, "host", "vm_state"),
    Index(None, "project_id", "vm_state"),
    Index(None, "name"),
    Index(None, "task_state"),
)

PORTS = Table(
    "ports",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("id", _UUID, nullable=False, unique=True),
    Column("network_id", _UUID, ForeignKey("networks.id"), nullable=False),
    Column("instance_uuid", _UUID, nullable=False, index=True),
    Column("mac", String(17), nullable=False),
    Column("address", _WORD),
    UniqueConstraint("network_id", "mac"),
    UniqueConstraint("network_id", "address"),
)

MIGRATIONS = Table(
    "migrations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", _UUID, nullable=False, unique=True),
    Column("type", _WORD, nullable=False),
    Column("status", _WORD, nullable=False),
    Column("instance_uuid", _UUID, nullable=False),
    Column("source", _NAME, nullable=False),
    Column("destination", _NAME),
    Column("generation", Integer, nullable=False),
    Column("owner", _NAME),
    Column("lease_until", Moment),
    Column("policy", Stored),
    Column("block_migration", Boolean),
    Column("disk_over_commit", Boolean, nullable=False),
    Column("requested_host", _NAME),
    Column("zone", _NAME),
    Column("request_id", _WORD, nullable=False, index=True),
    Column("user_id", _NAME, nullable=False),
    Column("project_id", _NAME, nullable=False),
    Column("error_code", _WORD),
    Column("error_message", Text),
    Column("failed_step", _WORD),
    Column("failed_host", _NAME),
    Column("reasons", JSON),
    Column("progress", Stored),
    Column("data", Stored),
    Column("stage", _WORD),
    Column("cold", Stored),
    Column("confirm_at", Moment),
    Column("downtime_ms", Integer),
    Column("job_ms", Integer),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("finished_at", Moment),
    Index(None, "instance_uuid", "status"),
    Index(None, "source", "status"),
    Index(None, "destination", "status"),
    Index(None, "status", "type"),
)

STEPS = Table(
    "migration_steps",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("migration_uuid", _UUID, ForeignKey("migrations.uuid"), nullable=False),
    Column("step", _WORD, nullable=False),
    Column("host", _NAME, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", _WORD, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("error_code", _WORD),
    Column("error", Text),
    Column("details", Text),
    UniqueConstraint("migration_uuid", "step", "host", "attempt", name="uq_migration_steps"),
)

ACTIONS = Table(
    "instance_actions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("request_id", _WORD, nullable=False),
    Column("instance_uuid", _UUID, nullable=False),
    Column("action", _WORD, nullable=False),
    Column("user_id", _NAME, nullable=False),
    Column("project_id", _NAME, nullable=False),
    Column("message", Text),
    Column("started_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("finished_at", Moment),
    UniqueConstraint("instance_uuid", "request_id"),
)

EVENTS = Table(
    "instance_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("action_id", Integer, ForeignKey("instance_actions.id"), nullable=False, index=True),
    Column("event", _WORD, nullable=False),
    Column("host", _NAME),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("result", _WORD),
    Column("details", Text),
)

# Numbers that operators change while everything runs; a name without a row has its default.
SETTINGS = Table(
    "settings",
    METADATA,
    Column("name", _WORD, primary_key=True),
    Column("value", Integer, nullable=False),
)

# A row that is locked while its name's decision is taken, so that two
# processes never take it at once.
LOCKS = Table(
    "locks",
    METADATA,
    Column("name", _WORD, primary_key=True),
)

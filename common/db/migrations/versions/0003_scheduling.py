"""Keep aggregates, groups, hints, the zone asked for, and the reasons of a refused placement.

An inventory row counts what is allocated of it, and what guests use that are not ours. Follows
0002.
"""

import sqlalchemy as sa
from alembic import op

from common.db import columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Table: the columns that it gets.
ADDED = {
    "compute_nodes": ["usage"],
    "servers": ["hints", "placement", "fault_reasons"],
    "migrations": ["reasons"],
}

COUNT = """
UPDATE inventory SET used = COALESCE((
    SELECT SUM(amount) FROM allocations
    WHERE allocations.host = inventory.host AND allocations.class = inventory.class
), 0)
"""

# The hosts in the order of what may still be promised of a class.
INDEX = "CREATE INDEX ix_inventory_class_free ON inventory (class, ({} - used - foreign_used))"
FREE = {
    "sqlite": INDEX.format("CAST((total - reserved) * ratio AS INTEGER)"),
    "postgresql": INDEX.format("CAST(FLOOR((total - reserved) * ratio) AS INTEGER)"),
}


def upgrade() -> None:
    for name in ("used", "foreign_used"):
        counted = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        op.add_column("inventory", counted)
    op.add_column("inventory", sa.Column("own_ratio", sa.Float(53), nullable=True))
    op.execute(sa.text(COUNT))
    op.execute(sa.text("UPDATE inventory SET own_ratio = ratio"))
    if op.get_bind().dialect.name in FREE:
        op.execute(sa.text(FREE[op.get_bind().dialect.name]))
    op.add_column(
        "compute_nodes", sa.Column("failures", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "compute_nodes",
        sa.Column("storage", sa.String(length=36), nullable=False, server_default=""),
    )
    op.create_index(op.f("ix_compute_nodes_storage"), "compute_nodes", ["storage"])
    op.add_column("compute_nodes", sa.Column("failed_at", columns.Moment(), nullable=True))
    op.create_index(op.f("ix_compute_nodes_failed_at"), "compute_nodes", ["failed_at"])
    for table, names in ADDED.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.JSON(none_as_null=True), nullable=True))
    op.add_column("migrations", sa.Column("zone", sa.String(length=255), nullable=True))
    _aggregates()
    _groups()


def _aggregates() -> None:
    op.create_table(
        "aggregates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("availability_zone", sa.String(length=255)),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", columns.Moment(), nullable=False),
        sa.Column("updated_at", columns.Moment()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregates")),
        sa.UniqueConstraint("uuid", name=op.f("uq_aggregates_uuid")),
        sa.UniqueConstraint("name", name=op.f("uq_aggregates_name")),
    )
    op.create_table(
        "aggregate_hosts",
        sa.Column("aggregate_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["aggregate_id"],
            ["aggregates.id"],
            name=op.f("fk_aggregate_hosts_aggregate_id"),
        ),
        sa.ForeignKeyConstraint(
            ["host"], ["compute_nodes.host"], name=op.f("fk_aggregate_hosts_host")
        ),
        sa.PrimaryKeyConstraint("aggregate_id", "host", name=op.f("pk_aggregate_hosts")),
    )
    op.create_index(op.f("ix_aggregate_hosts_host"), "aggregate_hosts", ["host"])


def _groups() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", columns.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_groups")),
        sa.UniqueConstraint("uuid", name=op.f("uq_server_groups_uuid")),
    )
    op.create_index(op.f("ix_server_groups_project_id"), "server_groups", ["project_id"])
    op.create_table(
        "server_group_members",
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("group_uuid", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_uuid"],
            ["server_groups.uuid"],
            name=op.f("fk_server_group_members_group_uuid"),
        ),
        sa.PrimaryKeyConstraint("instance_uuid", name=op.f("pk_server_group_members")),
    )
    op.create_index(
        op.f("ix_server_group_members_group_uuid"), "server_group_members", ["group_uuid"]
    )

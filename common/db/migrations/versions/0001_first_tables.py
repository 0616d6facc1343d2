"""Make the first tables.

Follows nothing.
"""

import sqlalchemy as sa
from alembic import op

from common.db import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "compute_nodes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=False),
        sa.Column("disk_available_least", sa.Integer(), nullable=True),
        sa.Column("running_vms", sa.Integer(), nullable=False),
        sa.Column("updated_at", columns.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compute_nodes")),
        sa.UniqueConstraint("host", name=op.f("uq_compute_nodes_host")),
        sa.UniqueConstraint("uuid", name=op.f("uq_compute_nodes_uuid")),
    )
    op.create_table(
        "flavors",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("root_gb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("swap_mb", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("extra_specs", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_flavors")),
        sa.UniqueConstraint("id", name=op.f("uq_flavors_id")),
        sa.UniqueConstraint("name", name=op.f("uq_flavors_name")),
    )
    op.create_table(
        "instance_actions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("started_at", columns.Moment(), nullable=False),
        sa.Column("updated_at", columns.Moment(), nullable=True),
        sa.Column("finished_at", columns.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_actions")),
        sa.UniqueConstraint(
            "instance_uuid", "request_id", name=op.f("uq_instance_actions_instance_uuid_request_id")
        ),
    )
    op.create_table(
        "locks",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_locks")),
    )
    op.create_table(
        "migrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("destination", sa.String(length=255), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", columns.Moment(), nullable=True),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("block_migration", sa.Boolean(), nullable=True),
        sa.Column("disk_over_commit", sa.Boolean(), nullable=False),
        sa.Column("requested_host", sa.String(length=255), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("failed_step", sa.String(length=64), nullable=True),
        sa.Column("failed_host", sa.String(length=255), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.Column("downtime_ms", sa.Integer(), nullable=True),
        sa.Column("job_ms", sa.Integer(), nullable=True),
        sa.Column("created_at", columns.Moment(), nullable=False),
        sa.Column("updated_at", columns.Moment(), nullable=True),
        sa.Column("finished_at", columns.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migrations")),
        sa.UniqueConstraint("uuid", name=op.f("uq_migrations_uuid")),
    )
    with op.batch_alter_table("migrations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_migrations_destination_status"), ["destination", "status"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_migrations_instance_uuid_status"),
            ["instance_uuid", "status"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_migrations_request_id"), ["request_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_migrations_source_status"), ["source", "status"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_migrations_status_type"), ["status", "type"], unique=False
        )

    op.create_table(
        "networks",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bridge", sa.String(length=32), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=True),
        sa.Column("pool_start", sa.String(length=64), nullable=True),
        sa.Column("pool_end", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_networks")),
        sa.UniqueConstraint("id", name=op.f("uq_networks_id")),
        sa.UniqueConstraint("name", name=op.f("uq_networks_name")),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("pinned_zone", sa.String(length=255), nullable=True),
        sa.Column("vm_state", sa.String(length=64), nullable=False),
        sa.Column("task_state", sa.String(length=64), nullable=True),
        sa.Column("power_state", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("run_token", sa.String(length=36), nullable=False),
        sa.Column("flavor", sa.JSON(), nullable=False),
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("flavor_name", sa.String(length=255), nullable=False),
        sa.Column("image", sa.JSON(), nullable=True),
        sa.Column("image_id", sa.String(length=255), nullable=True),
        sa.Column("kernel", sa.JSON(), nullable=True),
        sa.Column("ramdisk", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("fault_code", sa.String(length=64), nullable=True),
        sa.Column("fault_message", sa.Text(), nullable=True),
        sa.Column("fault_at", columns.Moment(), nullable=True),
        sa.Column("created_at", columns.Moment(), nullable=False),
        sa.Column("updated_at", columns.Moment(), nullable=True),
        sa.Column("launched_at", columns.Moment(), nullable=True),
        sa.Column("terminated_at", columns.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
        sa.UniqueConstraint("uuid", name=op.f("uq_servers_uuid")),
    )
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_servers_host_vm_state"), ["host", "vm_state"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_servers_name"), ["name"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_servers_project_id_vm_state"), ["project_id", "vm_state"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_servers_task_state"), ["task_state"], unique=False)

    op.create_table(
        "services",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("binary", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("zone", sa.String(length=255), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("forced_down", sa.Boolean(), nullable=False),
        sa.Column("report_count", sa.Integer(), nullable=False),
        sa.Column("last_seen", columns.Moment(), nullable=True),
        sa.Column("updated_at", columns.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("host", "binary", name=op.f("uq_services_host_binary")),
        sa.UniqueConstraint("uuid", name=op.f("uq_services_uuid")),
    )
    op.create_table(
        "allocations",
        sa.Column("consumer", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("class", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["compute_nodes.host"], name=op.f("fk_allocations_host")),
        sa.PrimaryKeyConstraint("consumer", "host", "class", name=op.f("pk_allocations")),
    )
    with op.batch_alter_table("allocations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_allocations_host_class"), ["host", "class"], unique=False
        )

    op.create_table(
        "instance_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("action_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("started_at", columns.Moment(), nullable=False),
        sa.Column("finished_at", columns.Moment(), nullable=True),
        sa.Column("result", sa.String(length=64), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["action_id"], ["instance_actions.id"], name=op.f("fk_instance_events_action_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_events")),
    )
    with op.batch_alter_table("instance_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_instance_events_action_id"), ["action_id"], unique=False
        )

    op.create_table(
        "inventory",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("class", sa.String(length=64), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("ratio", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["compute_nodes.host"], name=op.f("fk_inventory_host")),
        sa.PrimaryKeyConstraint("host", "class", name=op.f("pk_inventory")),
    )
    op.create_table(
        "migration_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("migration_uuid", sa.String(length=36), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("started_at", columns.Moment(), nullable=False),
        sa.Column("finished_at", columns.Moment(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["migration_uuid"], ["migrations.uuid"], name=op.f("fk_migration_steps_migration_uuid")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_steps")),
        sa.UniqueConstraint("migration_uuid", "step", "host", "attempt", name="uq_migration_steps"),
    )
    op.create_table(
        "ports",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_ports_network_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_ports")),
        sa.UniqueConstraint("id", name=op.f("uq_ports_id")),
        sa.UniqueConstraint("network_id", "address", name=op.f("uq_ports_network_id_address")),
        sa.UniqueConstraint("network_id", "mac", name=op.f("uq_ports_network_id_mac")),
    )
    with op.batch_alter_table("ports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ports_instance_uuid"), ["instance_uuid"], unique=False)

    op.execute("INSERT INTO locks (name) VALUES ('admission')")


def downgrade() -> None:
    with op.batch_alter_table("ports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ports_instance_uuid"))

    op.drop_table("ports")
    op.drop_table("migration_steps")
    op.drop_table("inventory")
    with op.batch_alter_table("instance_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instance_events_action_id"))

    op.drop_table("instance_events")
    with op.batch_alter_table("allocations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_allocations_host_class"))

    op.drop_table("allocations")
    op.drop_table("services")
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_servers_task_state"))
        batch_op.drop_index(batch_op.f("ix_servers_project_id_vm_state"))
        batch_op.drop_index(batch_op.f("ix_servers_name"))
        batch_op.drop_index(batch_op.f("ix_servers_host_vm_state"))

    op.drop_table("servers")
    op.drop_table("networks")
    with op.batch_alter_table("migrations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_migrations_status_type"))
        batch_op.drop_index(batch_op.f("ix_migrations_source_status"))
        batch_op.drop_index(batch_op.f("ix_migrations_request_id"))
        batch_op.drop_index(batch_op.f("ix_migrations_instance_uuid_status"))
        batch_op.drop_index(batch_op.f("ix_migrations_destination_status"))

    op.drop_table("migrations")
    op.drop_table("locks")
    op.drop_table("instance_actions")
    op.drop_table("flavors")
    op.drop_table("compute_nodes")

"""Keep the policy of a move as an object, the reasons of its steps, and settings.

Follows 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("migrations") as batch:
        batch.alter_column("policy", existing_type=sa.JSON(), nullable=True)
    op.execute("UPDATE migrations SET policy = NULL")
    op.add_column("migration_steps", sa.Column("details", sa.Text(), nullable=True))
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )

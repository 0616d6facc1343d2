"""Keep what a cold move needs: its step, what both hosts agreed on, when it confirms itself.

Follows 0003.
"""

import sqlalchemy as sa
from alembic import op

from common.db import columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("migrations", sa.Column("stage", sa.String(length=64), nullable=True))
    op.add_column("migrations", sa.Column("cold", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("migrations", sa.Column("confirm_at", columns.Moment(), nullable=True))

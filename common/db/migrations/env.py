"""How alembic runs a revision: on the connection that common.db.schema hands over."""

from alembic import context

from common.db import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

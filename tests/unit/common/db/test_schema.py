import pytest
from alembic import autogenerate
from alembic import migration

from common import errors
from common.db import engine
from common.db import schema
from common.db import tables

# Indexes of expressions, which databases give back in words of their own.
UNCOMPARED = {"ix_inventory_class_free"}


def test_tables_and_migrations_agree(database):
    """Applying every revision gives exactly the tables that the code names."""
    with database.engine.connect() as connection:
        context = migration.MigrationContext.configure(
            connection, opts={"include_object": lambda _object, name, *_: name not in UNCOMPARED}
        )
        differences = autogenerate.compare_metadata(context, tables.METADATA)

    assert [] == differences


def test_an_empty_database_is_refused_with_the_command_to_run(any_database):
    database = engine.Database(any_database)

    with pytest.raises(errors.Unavailable, match="whimbrel-manage db upgrade"):
        schema.check(database)

    database.close()


def test_an_upgraded_database_is_taken(database):
    schema.check(database)

    assert schema.head() == schema.version(database)


def test_upgrading_twice_changes_nothing(database):
    assert schema.head() == schema.upgrade(database)

"""The real parts that other tests stand on do what is said of them."""

import psycopg
import pytest


def test_vhost_is_empty_at_first(rabbit, broker):
    """Nothing of another test's is in a broker fixture's vhost."""
    vhost = broker.rpartition("/")[2]

    assert {} == rabbit.queues(vhost)


@pytest.mark.parametrize("attempt", [1, 2])
def test_postgres_is_empty_at_first(postgres, attempt):
    """Each test has a database of its own."""
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (attempt int)")

        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()

    assert [("mine",)] == tables

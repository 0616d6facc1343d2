"""The database and its transactions; SQL errors turn into ours here.

Usable from many threads and processes at once. Transactions read what was
committed when each statement starts; whoever decides on what it read locks
the row first. On SQLite a write transaction holds the whole file, so it should
be short.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Mapping
from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

from common import clock as clocks
from common import errors

if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Sequence
    from logging import Logger
    from typing import TypeAlias

    # What a statement that is built once is run with.
    Values: TypeAlias = Mapping[str, object]

# Seconds between two tries to reach the database at start.
AGAIN = 3.0

# How the databases say that a row with this key is there already.
DUPLICATE = ("unique", "duplicate")

# The inserts of databases that can leave a row alone which is there: without an
# error in their log, and without a savepoint.
GENTLE: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_IMMEDIATE = "whimbrel_immediate"


class Tx:
    """One open transaction: what every function of this room takes first."""

    def __init__(self, connection: sa.Connection, clock: clocks.Clock) -> None:
        """Run on this connection, with times from this clock."""
        self._connection = connection
        self._clock = clock

    @property
    def connection(self) -> sa.Connection:
        """Give SQLAlchemy's connection, for this room only."""
        return self._connection

    def now(self) -> datetime.datetime:
        """Give the time to write into rows."""
        return self._clock.now()

    def run(
        self, statement: sa.Executable, values: Values | Sequence[Values] | None = None
    ) -> None:
        """Run a statement whose result does not matter, once for each of the values if many."""
        self._connection.execute(statement, values)

    def rows(self, statement: sa.Executable) -> list[dict[str, Any]]:
        """Give every row as a dictionary."""
        return [dict(row) for row in self._connection.execute(statement).mappings()]

    def row(self, statement: sa.Executable, values: Values | None = None) -> dict[str, Any] | None:
        """Give the first row, or None."""
        found = self._connection.execute(statement, values).mappings().first()
        return None if found is None else dict(found)

    def tuples(
        self, statement: sa.Executable, values: Values | None = None
    ) -> list[tuple[Any, ...]]:
        """Give every row as a tuple: for thousands of them, or for a statement made once."""
        return [tuple(row) for row in self._connection.execute(statement, values).all()]

    def count(self, statement: sa.Executable) -> int:
        """Run a statement and tell how many rows it matched."""
        return self._connection.execute(statement).rowcount

    def insert(self, table: sa.Table, values: Mapping[str, object]) -> bool:
        """Insert a row; False when one with the same key is there already."""
        gentle = GENTLE.get(self._connection.dialect.name)
        if gentle is not None:
            statement = gentle(table).values(dict(values)).on_conflict_do_nothing()
            options = {"preserve_rowcount": True}
            return self._connection.execute(statement, execution_options=options).rowcount > 0
        try:
            with self._connection.begin_nested():
                self._connection.execute(sa.insert(table).values(dict(values)))
        except exc.IntegrityError as clash:
            if not any(word in _reason(clash).lower() for word in DUPLICATE):
                raise
            return False
        return True


class Database:
    """One process's connections; made once and passed on."""

    def __init__(
        self, url: str, pool: int = 10, timeout: int = 10, clock: clocks.Clock | None = None
    ) -> None:
        """Set the pool up, connecting nothing yet; `timeout` is seconds for any wait."""
        parsed = sa.make_url(url)
        self._clock = clock or clocks.SystemClock()
        self._timeout = timeout
        self._name = parsed.render_as_string(hide_password=True)
        self._engine = MAKERS.get(parsed.get_backend_name(), _plain)(parsed, pool, timeout)
        # SQLite's own wait is a poll with growing pauses; threads take turns sooner.
        self._turn = threading.Lock() if parsed.get_backend_name() == "sqlite" else None

    @property
    def engine(self) -> sa.Engine:
        """Give SQLAlchemy's engine, for this room only."""
        return self._engine

    @contextlib.contextmanager
    def write(self) -> Generator[Tx]:
        """Open a transaction that commits at the end and rolls back on any error."""
        with self._taking_turns(), self._translated():
            connection = self._engine.connect().execution_options(**{_IMMEDIATE: True})
            with connection, connection.begin():
                yield Tx(connection, self._clock)

    @contextlib.contextmanager
    def read(self) -> Generator[Tx]:
        """Open a transaction that only reads and never waits for a writer."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield Tx(connection, self._clock)

    def wait(self, log: Logger, stop: threading.Event | None = None) -> None:
        """Wait without end until the database answers, and say so every few seconds."""
        stop = stop or threading.Event()
        while not stop.is_set():
            try:
                with self.read() as tx:
                    tx.run(sa.select(sa.literal(1)))
            except errors.DatabaseDown as down:
                log.warning("waiting for the database: %s", down)
                stop.wait(AGAIN)
            else:
                return

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _taking_turns(self) -> Generator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._timeout):
            raise errors.DatabaseDown(f"{self._name} is busy for {self._timeout} s; try again")
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except exc.TimeoutError as full:
            raise errors.DatabaseDown(
                f"no connection to {self._name} was free within {self._timeout} s; try again, "
                "or raise [database] pool"
            ) from full
        except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as down:
            raise errors.DatabaseDown(
                f"the database {self._name} does not answer: {_reason(down)}"
            ) from down
        except exc.IntegrityError as clash:
            raise errors.Conflict(f"another row stands against it: {_reason(clash)}") from clash
        except exc.DataError as wrong:
            raise errors.Invalid(
                f"the database cannot keep such a value: {_reason(wrong)}"
            ) from wrong
        except exc.DBAPIError as broken:
            if not broken.connection_invalidated:
                raise
            raise errors.DatabaseDown(
                f"the connection to {self._name} was lost: {_reason(broken)}; try again"
            ) from broken


def _reason(error: exc.DBAPIError) -> str:
    """Give the driver's own words, without the statement and its values."""
    return str(error.orig).strip().partition("\n")[0]


def _plain(url: sa.URL, pool: int, timeout: int) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=timeout,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
    )


def _postgresql(url: sa.URL, pool: int, timeout: int) -> sa.Engine:
    """Bound every wait: for the connection, for a lock, and for a silent peer.

    A statement that is repeated is planned once: the search for a host takes ten
    times as long to plan as to run. Each connection plans for itself, so the one
    that was used last is taken first.
    """
    waits: dict[str, Any] = {
        "connect_timeout": timeout,
        "tcp_user_timeout": timeout * 1000,
        "keepalives_idle": timeout,
        "options": f"-c lock_timeout={timeout * 1000} -c timezone=UTC "
        "-c plan_cache_mode=force_generic_plan",
    }
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=timeout,
        pool_use_lifo=True,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args=waits,
    )


def _sqlite(url: sa.URL, pool: int, timeout: int) -> sa.Engine:
    """One file for many processes; a database in memory has one connection for all threads.

    The connection used last has its statements prepared already, so it is taken first.
    """
    memory = url.database in {None, "", ":memory:"}
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=1 if memory else pool,
        max_overflow=0,
        pool_timeout=timeout,
        pool_use_lifo=True,
        connect_args={"check_same_thread": False, "timeout": timeout},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
    # The driver would begin its own transactions late, after the first read.
    connection.isolation_level = None
    cursor = connection.cursor()
    # NORMAL with WAL outlives any crash of ours; a power cut may take the last commits.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at once, so that what a writer reads is still true when it writes."""
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


MAKERS = {"sqlite": _sqlite, "postgresql": _postgresql}

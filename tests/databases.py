"""Real databases for tests: a fresh SQLite file, a fresh PostgreSQL database.

PostgreSQL is Debian's own server, started once per session on a socket of its
own, and gone with the session. Take `postgres` for its URL, `sqlite` for the
other's, `any_database` for a test that must hold on both.
"""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
import tenacity

from common import clock
from common.db import engine
from common.db import schema
from common.db import tables
from tests import machine

SERVERS = pathlib.Path("/usr/lib/postgresql")
COUNTER = itertools.count(1)

# A test's data need not survive the machine.
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


@pytest.fixture
def sqlite(tmp_path: pathlib.Path) -> str:
    """Give the URL of an empty SQLite database."""
    return f"sqlite:///{tmp_path}/whimbrel.db"


@pytest.fixture
def postgres(postgres_socket: pathlib.Path) -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database, dropped afterwards."""
    name = f"test_{next(COUNTER)}"
    with psycopg.connect(_admin(postgres_socket), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"postgresql+psycopg://postgres@/{name}?host={postgres_socket}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database of each kind in turn."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[pathlib.Path]:
    """Run a PostgreSQL server for the session and give the folder of its socket."""
    found = programs()
    if found is None:
        machine.lacks("no PostgreSQL server is installed; run make setup as root")
    with tempfile.TemporaryDirectory(prefix="whimbrel-pg-") as folder:
        home = pathlib.Path(folder)
        if os.geteuid() == 0:
            shutil.chown(home, "postgres", "postgres")
        with server(found, home):
            yield home


@contextlib.contextmanager
def server(programs: pathlib.Path, home: pathlib.Path) -> Iterator[None]:
    """Run a PostgreSQL server whose socket and data are in the folder."""
    data = home / "data"
    subprocess.run(
        _as_postgres(
            programs / "initdb", "--auth=trust", "--no-sync", "--username=postgres", "-D", data
        ),
        check=True,
        capture_output=True,
    )
    settings = [f"-c{setting}" for setting in CARELESS]
    command = _as_postgres(
        programs / "postgres", "-D", data, "-k", home, "-clisten_addresses=", *settings
    )
    with (home / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _wait(home)
            yield
        finally:
            # SIGQUIT is PostgreSQL's immediate shutdown: there is nothing to save.
            process.send_signal(signal.SIGQUIT)


def _as_postgres(*command: str | pathlib.Path) -> list[str]:
    """Run as the user postgres where we are root, and end with the test run in any case."""
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig=QUIT", *user, "--", *map(str, command)]


@tenacity.retry(
    wait=tenacity.wait_fixed(0.1),
    stop=tenacity.stop_after_delay(30),
    retry=tenacity.retry_if_exception_type(psycopg.OperationalError),
    reraise=True,
)
def _wait(socket: pathlib.Path) -> None:
    psycopg.connect(_admin(socket)).close()


def _admin(socket: pathlib.Path) -> str:
    return f"host={socket} user=postgres dbname=postgres"


def programs() -> pathlib.Path | None:
    """Find the newest installed server's programs."""
    found = [path.parent for path in SERVERS.glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[engine.Database]:
    """Give a database of each kind in turn, with empty tables and a clock that stands still."""
    url = request.getfixturevalue(f"{request.param}_tables")
    made = engine.Database(url, timeout=30, clock=clock.HeldClock())
    yield made
    made.close()


@pytest.fixture
def sqlite_tables(sqlite_template: pathlib.Path, sqlite: str) -> str:
    """Give the URL of a SQLite database with empty tables."""
    shutil.copy(sqlite_template, str(sa.make_url(sqlite).database))
    return sqlite


@pytest.fixture
def postgres_tables(postgres_template: engine.Database) -> Iterator[str]:
    """Give the URL of the session's PostgreSQL database with its tables, emptied afterwards."""
    yield str(postgres_template.engine.url)
    kept = {tables.LOCKS.name}
    names = [name for name in tables.METADATA.tables if name not in kept]
    with postgres_template.write() as tx:
        tx.run(sa.text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Make the tables once; each test copies the file."""
    path = tmp_path_factory.mktemp("template") / "whimbrel.db"
    made = engine.Database(f"sqlite:///{path}")
    schema.upgrade(made)
    made.close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_socket: pathlib.Path) -> Iterator[engine.Database]:
    """Make the tables once, in the database that a fresh server has."""
    made = engine.Database(f"postgresql+psycopg://postgres@/postgres?host={postgres_socket}")
    schema.upgrade(made)
    yield made
    made.close()

"""A PostgreSQL server of a scale run: Debian's own programs, on a socket, with its own data.

Its durability is PostgreSQL's default: what is measured is what an operator gets.
"""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg

from deploy.lab import errors

SERVERS = Path("/usr/lib/postgresql")
CONNECTIONS = 200

Database = psycopg.Connection[tuple[object, ...]]


def programs() -> Path:
    """Where the newest installed server's programs are, or Missing."""
    found = [path.parent for path in SERVERS.glob("*/bin/initdb")]
    if not found:
        raise errors.Missing(
            "no PostgreSQL server is installed", "run `make setup`, or: apt-get install postgresql"
        )
    return max(found, key=lambda path: int(path.parent.name))


def folder(root: Path) -> Path:
    """Its data and its socket."""
    return root / "postgres"


def url(root: Path) -> str:
    """The database of the services, for SQLAlchemy."""
    return f"postgresql+psycopg://postgres@/postgres?host={folder(root)}"


def connect(root: Path) -> Database:
    """A connection of our own, for questions."""
    return psycopg.connect(f"host={folder(root)} user=postgres dbname=postgres", autocommit=True)


def prepare(root: Path) -> None:
    """Make an empty cluster of databases, or ProgramFailed."""
    home = folder(root)
    home.mkdir(parents=True)
    shutil.chown(home, "postgres", "postgres")
    made = subprocess.run(
        as_postgres(programs() / "initdb", "--auth=trust", "--username=postgres", "-D", home / "d"),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise errors.ProgramFailed(f"initdb: {made.stderr.strip()[-400:]}")


def command(root: Path) -> list[str]:
    """The command line of the server."""
    home = folder(root)
    return as_postgres(
        *(programs() / "postgres", "-D", home / "d", "-k", home, "-clisten_addresses="),
        f"-cmax_connections={CONNECTIONS}",
    )


def as_postgres(*words: str | Path) -> list[str]:
    """The same command as the user postgres where we are root: the server refuses root."""
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [
        "setpriv",
        *(user if os.geteuid() == 0 else ["--pdeathsig=clear"]),
        "--",
        *map(str, words),
    ]


def answers(root: Path) -> bool:
    """Whether it takes connections."""
    try:
        connect(root).close()
    except psycopg.OperationalError:
        return False
    return True

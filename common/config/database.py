"""Options of the database; compute never reads them."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "database"
OPTIONS = [
    cfg.StrOpt(
        "connection",
        default="sqlite:////var/lib/whimbrel/whimbrel.db",
        secret=True,
        help="SQLAlchemy URL: sqlite:////PATH, or postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
    ),
    cfg.IntOpt(
        "pool",
        default=10,
        min=1,
        max=200,
        help="Connections kept open per process; more requests than this wait in line.",
    ),
    cfg.IntOpt(
        "timeout",
        default=10,
        min=1,
        max=300,
        help="Seconds to wait for a connection or a lock before the request is refused.",
    ),
]

"""Logging set up once per process; every line carries the request id."""

from __future__ import annotations

import logging

from oslo_config.cfg import ConfigOpts
from oslo_log import log

FORMAT = (
    "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s "
    "[%(request_id)s] %(instance)s%(message)s"
)
PLAIN = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s"
QUIET = [
    "amqp=WARNING",
    "kombu=WARNING",
    "oslo.messaging=WARNING",
    "sqlalchemy=WARNING",
    "alembic=WARNING",
    "stevedore=WARNING",
    "urllib3=WARNING",
    "waitress=WARNING",
    "oslo_messaging=WARNING",
]


def set_defaults() -> None:
    """Make our formats and levels the defaults of oslo.log, for the sample as well."""
    log.set_defaults(logging_context_format_string=FORMAT, default_log_levels=QUIET)


def start(conf: ConfigOpts, program: str) -> None:
    """Send this process's log to `log_file`, or to standard error."""
    set_defaults()
    # No format of ours names the thread, and to find it among thousands of greenthreads costs.
    logging.logThreads = False
    conf.set_default("logging_default_format_string", PLAIN)
    conf.set_default("use_stderr", conf.log_file is None)
    log.setup(conf, program)

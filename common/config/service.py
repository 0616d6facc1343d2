"""Options of heartbeats."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "service"
OPTIONS = [
    cfg.IntOpt(
        "heartbeat",
        default=10,
        min=1,
        max=300,
        help="Seconds between reports of a service. A small value notices failures sooner and "
        "costs one message per host and interval.",
    ),
    cfg.IntOpt(
        "down_after",
        default=30,
        min=2,
        max=3600,
        help="Seconds of silence after which a service counts as down and its host is not "
        "scheduled to. Keep it at three heartbeats or more.",
    ),
]

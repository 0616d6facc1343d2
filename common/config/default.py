"""Options outside any group: which host this is, and where the broker is."""

from __future__ import annotations

import socket

from oslo_config import cfg

GROUP = None
OPTIONS = [
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<the machine's host name>",
        help="Name of this host in every table and on the bus. Servers belong to a host by "
        "this name: change it only on a host that has none.",
    ),
    cfg.StrOpt(
        "transport_url",
        default="rabbit://guest:guest@127.0.0.1:5672/",
        secret=True,
        help="The message broker: rabbit://USER:PASSWORD@HOST:PORT[,HOST:PORT...]/VHOST, "
        "or fake:// for all services inside one process.",
    ),
]

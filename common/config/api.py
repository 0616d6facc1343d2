"""Options of the HTTP API."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "api"
OPTIONS = [
    cfg.HostAddressOpt(
        "listen",
        default="127.0.0.1",
        help="Address to listen on. With auth = noauth only a loopback address is accepted.",
    ),
    cfg.PortOpt("port", default=8774, help="TCP port to listen on."),
    cfg.StrOpt(
        "auth",
        default="noauth",
        choices=["noauth", "http_basic"],
        help="noauth: everybody who reaches the port is an administrator, so it must be "
        "loopback. http_basic: users of http_basic_file.",
    ),
    cfg.StrOpt(
        "http_basic_file",
        default="/etc/whimbrel/htpasswd",
        help="File of NAME:BCRYPT-HASH lines (htpasswd -B), read again when it changes. A user "
        "is an administrator unless the line goes on with :ROLE,ROLE.",
    ),
    cfg.IntOpt(
        "threads",
        default=16,
        min=2,
        max=256,
        help="Requests served at once. A live migration below microversion 2.34 holds one "
        "while its checks run.",
    ),
    cfg.IntOpt(
        "max_limit",
        default=1000,
        min=1,
        help="Rows that one list answer holds at most; clients page through the rest.",
    ),
]

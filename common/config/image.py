"""Options of the image store."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "image"
OPTIONS = [
    cfg.StrOpt(
        "store",
        default="/var/lib/whimbrel/images",
        help="A directory, or the http(s) URL of one, with an index.json that names the images.",
    ),
    cfg.StrOpt(
        "cache",
        default="/var/lib/whimbrel/cache",
        help="Directory of this host for checked copies of images; the base files of its disks.",
    ),
]

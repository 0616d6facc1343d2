"""Options of the conductor."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "conductor"
OPTIONS = [
    cfg.IntOpt(
        "workers",
        default=16,
        min=1,
        max=256,
        help="Moves and builds that one conductor process prepares at once; more wait in line. As "
        "many threads answer its calls, and as many again those that wait for other services.",
    ),
    cfg.IntOpt(
        "max_outbound",
        default=2,
        min=1,
        max=100,
        help="Live migrations that may leave one host at the same time; the others are queued.",
    ),
    cfg.IntOpt(
        "max_inbound",
        default=2,
        min=1,
        max=100,
        help="Live migrations that may enter one host at the same time; the others are queued.",
    ),
    cfg.IntOpt(
        "max_copies_outbound",
        default=2,
        min=1,
        max=100,
        help="Cold migrations and resizes whose disks may be copied from one host at the same "
        "time; the others wait, their guests untouched.",
    ),
    cfg.IntOpt(
        "max_copies_inbound",
        default=2,
        min=1,
        max=100,
        help="Cold migrations and resizes whose disks may be copied to one host at the same time.",
    ),
    cfg.IntOpt(
        "resize_confirm_window",
        default=0,
        min=0,
        help="Seconds after which a finished resize or cold migration confirms itself; 0 leaves "
        "it to the user.",
    ),
    cfg.BoolOpt(
        "allow_resize_to_same_host",
        default=False,
        help="Let a resize stay on its host; it holds room for both sizes until it is confirmed.",
    ),
    cfg.IntOpt(
        "lease",
        default=60,
        min=5,
        max=3600,
        help="Seconds for which a process owns a move without renewing; after that another "
        "may take it over.",
    ),
    cfg.BoolOpt(
        "keep_zone",
        default=True,
        help="Whether a server that was created without an availability zone belongs to the one "
        "it landed in, so that no move takes it out unless the request says so. false: as in "
        "Nova, only a server that was created in a zone by name is kept there.",
    ),
    cfg.IntOpt(
        "check_timeout",
        default=45,
        min=1,
        max=80,
        help="Seconds after which a dry run of a live migration answers; a host whose checks have "
        "not ended by then fails.",
    ),
    cfg.IntOpt(
        "audit_interval",
        default=60,
        min=1,
        max=86400,
        help="Seconds between looks for room that is held for nobody: it is given back, and the "
        "log says whose it was.",
    ),
    cfg.IntOpt(
        "tick",
        default=5,
        min=1,
        max=60,
        help="Seconds between looks at the queue of moves; a finished move also starts the next.",
    ),
]

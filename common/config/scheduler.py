"""Options of the scheduler."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "scheduler"
OPTIONS = [
    cfg.ListOpt(
        "filters",
        default=["up", "enabled", "zone", "ignored", "requested", "ram", "cores", "disk"],
        help="Filters in the order in which they run; the first that refuses a host gives the "
        "reason that is shown.",
    ),
    cfg.FloatOpt(
        "ram_weight",
        default=1.0,
        help="Multiplier of the RAM weigher: positive spreads guests over hosts, negative "
        "fills hosts up, 0 switches it off.",
    ),
    cfg.IntOpt(
        "claim_attempts",
        default=10,
        min=1,
        max=100,
        help="Hosts on which a claim is tried when others take the room first.",
    ),
]

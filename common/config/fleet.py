"""Options of whimbrel-fleet, which runs many simulated computes in one process."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "fleet"
OPTIONS = [
    cfg.StrOpt(
        "topology",
        default="",
        help="File that says which simulated hosts there are; samples are in deploy/scale, and "
        "doc/scale.md has its words.",
    ),
    cfg.IntOpt(
        "hosts",
        default=0,
        min=0,
        max=100000,
        help="How many hosts: the groups of the topology are resized in proportion. 0 takes "
        "them as they are.",
    ),
    cfg.IntOpt(
        "parts",
        default=1,
        min=1,
        max=100,
        help="Processes that share the hosts of one topology, one option file each.",
    ),
    cfg.IntOpt("part", default=1, min=1, max=100, help="Which of them this one is, from 1."),
    cfg.StrOpt(
        "folder",
        default="",
        help="Directory in which several processes of one machine hand guests over to each "
        "other; not needed by one alone.",
    ),
    cfg.IntOpt(
        "starting",
        default=16,
        min=1,
        max=1000,
        help="Hosts that are started at once; all of them at once are a burst for the broker.",
    ),
]

"""Options of the scheduler."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "scheduler"

FILTERS = [
    "ComputeFilter",
    "RetryFilter",
    "AvailabilityZoneFilter",
    "OverPromisedFilter",
    "RamFilter",
    "CoreFilter",
    "DiskFilter",
    "DiskLeastFilter",
    "IoOpsFilter",
    "NumInstancesFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "SameHostFilter",
    "DifferentHostFilter",
    "ServerGroupAffinityFilter",
    "ServerGroupAntiAffinityFilter",
    "AggregateInstanceExtraSpecsFilter",
    "AggregateMultiTenancyIsolation",
    "StoragePoolFilter",
]

# Weigher: its multiplier, and what it weighs.
WEIGHTS: dict[str, tuple[float, str]] = {
    "ram": (1.0, "free memory"),
    "cpu": (1.0, "free virtual processors"),
    "disk": (1.0, "free disk"),
    "io_ops": (-1.0, "servers that are built, moved or resized there"),
    "num_instances": (0.0, "servers there"),
    "soft_affinity": (1.0, "others of a server group that would like to be together"),
    "soft_anti_affinity": (1.0, "others of a server group that would like to be apart"),
    "failure": (-1000000.0, "builds and moves that failed there within failure_memory"),
}

OPTIONS: list[cfg.Opt] = [
    cfg.ListOpt(
        "enabled_filters",
        default=FILTERS,
        help="Filters in the order in which they run; the first that refuses a host gives the "
        "reason that is shown. Filters of your own are named by their entry point in the group "
        "whimbrel.scheduler.filters.",
    ),
    *(
        cfg.FloatOpt(
            f"{name}_weight_multiplier",
            default=default,
            help=f"What counts of {what}, scaled to 0..1 over the hosts: positive prefers hosts "
            "with more of it, negative hosts with less, 0 switches the weigher off.",
        )
        for name, (default, what) in WEIGHTS.items()
    ),
    cfg.DictOpt(
        "own_weights",
        default={},
        help="Multipliers of weighers of your own, by their entry point in the group "
        "whimbrel.scheduler.weighers: name:1.0,other:-2.",
    ),
    cfg.IntOpt(
        "host_subset_size",
        default=3,
        min=1,
        help="Choose at random among so many of the best hosts, so that requests at the same time "
        "do not all try the same one. 1 always takes the best.",
    ),
    cfg.FloatOpt(
        "host_subset_margin",
        default=0.1,
        min=0.0,
        help="Points that a host may have less than the best and be chosen in its place; a weigher "
        "gives 0..1 times its multiplier. 0 chooses among equals only; so much that it exceeds the "
        "sum of all multipliers chooses among the best host_subset_size, whatever their points.",
    ),
    cfg.IntOpt(
        "alternates",
        default=3,
        min=0,
        max=100,
        help="Hosts that are named beside the chosen one; they are claimed one after the other "
        "when a compute refuses, without asking the scheduler again.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=10,
        min=1,
        max=1000,
        help="Hosts on which a build or a move is tried before it fails with the reasons of each.",
    ),
    cfg.IntOpt(
        "claim_attempts",
        default=10,
        min=1,
        max=100,
        help="Hosts on which a claim is tried when others take the room first, before the hosts "
        "are looked at again; those that were tried are left out then.",
    ),
    cfg.IntOpt(
        "max_io_ops_per_host",
        default=8,
        min=1,
        help="Servers that may be built, moved or resized on a host at once; see IoOpsFilter.",
    ),
    cfg.IntOpt(
        "max_instances_per_host",
        default=500,
        min=1,
        help="Servers that a host may have; see NumInstancesFilter.",
    ),
    cfg.IntOpt(
        "failure_memory",
        default=3600,
        min=0,
        help="Seconds for which a failed build or move counts against its host; one that goes "
        "well there ends it at once.",
    ),
    cfg.IntOpt(
        "window",
        default=16,
        min=1,
        max=10000,
        help="Hosts that are looked at first: the best by each of free memory, processors and "
        "disk. When every one of them is refused, sixteen times as many are, and then all.",
    ),
]

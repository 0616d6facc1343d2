"""Options of the simulated hypervisor."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "simulated"
OPTIONS = [
    cfg.IntOpt("vcpus", default=8, min=1, help="Processors of the simulated host."),
    cfg.IntOpt("memory_mb", default=16384, min=64, help="MiB of memory of the simulated host."),
    cfg.IntOpt("disk_gb", default=200, min=1, help="GiB of disk of the simulated host."),
    cfg.FloatOpt(
        "rate",
        default=1000.0,
        min=0.1,
        help="MiB per second at which a simulated live migration copies memory.",
    ),
]

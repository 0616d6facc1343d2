"""Options of compute that hold for every driver."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "compute"
OPTIONS = [
    cfg.StrOpt(
        "driver",
        default="libvirt",
        choices=["libvirt", "simulated"],
        help="The hypervisor. simulated keeps guests in memory: for demos and scale runs.",
    ),
    cfg.StrOpt(
        "instances_path",
        default="/var/lib/whimbrel/instances",
        help="Directory of the guests' disks. Hosts that share it over a network file system "
        "find that out by themselves.",
    ),
    cfg.StrOpt(
        "availability_zone",
        default="nova",
        help="The zone that this host belongs to.",
    ),
    cfg.IntOpt(
        "threads",
        default=20,
        min=2,
        max=500,
        help="Native threads for libvirt calls, besides one for each of the 32 requests that are "
        "answered at once: looks at running moves, orders to them, operations. A live migration "
        "and the copy of a disk bring threads of their own, so that no limit of moves needs more.",
    ),
    cfg.IntOpt(
        "reserved_host_cpus",
        default=0,
        min=0,
        help="Processors kept for the host itself: never promised to guests.",
    ),
    cfg.IntOpt(
        "reserved_host_memory_mb",
        default=512,
        min=0,
        help="MiB of memory kept for the host itself and for what QEMU needs beside its guests' "
        "memory: never promised to guests.",
    ),
    cfg.IntOpt(
        "reserved_host_disk_mb",
        default=0,
        min=0,
        help="MiB of the file system of instances_path kept for the host, counted in whole GiB, "
        "rounded up: never promised to guests.",
    ),
    cfg.FloatOpt(
        "cpu_allocation_ratio",
        default=4.0,
        min=0.1,
        help="Virtual processors promised per processor of the host.",
    ),
    cfg.FloatOpt(
        "ram_allocation_ratio",
        default=1.0,
        min=0.1,
        help="Memory promised per memory of the host; above 1 guests may be swapped or killed.",
    ),
    cfg.FloatOpt(
        "disk_allocation_ratio",
        default=1.0,
        min=0.1,
        help="Disk promised per disk of the host; above 1 thin disks may fill it up.",
    ),
    cfg.IntOpt(
        "report_all_every",
        default=30,
        min=1,
        max=1000,
        help="Heartbeats after which a host's numbers are sent although none has changed; those "
        "between them say only that the host lives. A change is sent at once.",
    ),
    cfg.IntOpt(
        "shutdown_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds that a guest gets to shut down cleanly before it is powered off.",
    ),
    cfg.IntOpt(
        "copy_bandwidth",
        default=0,
        min=0,
        max=1_000_000,
        help="MiB per second that one copy of a cold migration or resize may send from this host "
        "when its request says nothing; 0 for no limit.",
    ),
    cfg.FloatOpt(
        "progress_interval",
        default=1.0,
        min=0.2,
        max=60,
        help="Seconds between progress reports of this host's moves; one message for all.",
    ),
    cfg.IntOpt(
        "migration_link_timeout",
        default=20,
        min=3,
        max=3600,
        help="Seconds after which the streams of a live migration that is copying are ended when "
        "nothing went over them and the destination does not answer. The guest goes on at its "
        "source. Keep it below libvirt's own patience (keepalive_interval times keepalive_count "
        "of qemu.conf, 25 s): from then on a guest whose disk is copied stands still until the "
        "streams end, which TCP does after a quarter of an hour.",
    ),
]

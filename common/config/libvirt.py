"""Options of the libvirt driver."""

from __future__ import annotations

from oslo_config import cfg

GROUP = "libvirt"
OPTIONS = [
    cfg.StrOpt("uri", default="qemu:///system", help="The libvirt daemon of this host."),
    cfg.StrOpt(
        "migration_address",
        default="",
        help="Address or name under which other hosts reach this host's libvirt and QEMU "
        "during a live migration; empty means the value of host.",
    ),
    cfg.StrOpt(
        "live_migration_scheme",
        default="tcp",
        choices=["tcp", "tls", "ssh"],
        help="How one libvirt daemon talks to the other: qemu+SCHEME://ADDRESS/system.",
    ),
    cfg.StrOpt(
        "virt_type",
        default="auto",
        choices=["auto", "kvm", "qemu"],
        help="auto starts a short guest to find out whether KVM works, and else uses plain QEMU.",
    ),
    cfg.StrOpt(
        "machine_type",
        default="pc-q35-7.2",
        help="Fixed machine type of new guests, so that every host gives them the same hardware.",
    ),
    cfg.StrOpt(
        "cpu_model",
        default="qemu64",
        help="CPU model of new guests: the newest that every host has.",
    ),
    cfg.BoolOpt(
        "trust_shared_probe",
        default=False,
        help="libvirt refuses file disks on a file system that it does not know to be shared. "
        "True lets Whimbrel's own test (one file seen from both hosts) vouch for it.",
    ),
    cfg.IntOpt(
        "live_migration_downtime",
        default=500,
        min=100,
        max=60000,
        help="Milliseconds that a guest may stand still at the switch.",
    ),
    cfg.IntOpt(
        "live_migration_bandwidth",
        default=0,
        min=0,
        help="MiB per second for a live migration; 0 means as fast as the network goes.",
    ),
    cfg.IntOpt(
        "live_migration_completion_timeout",
        default=800,
        min=0,
        help="Seconds per GiB of memory and copied disk after which a live migration is given "
        "up and undone; 0 means never.",
    ),
]

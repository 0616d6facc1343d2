"""Options of the libvirt driver."""

from __future__ import annotations

from oslo_config import cfg
from oslo_config import types

GROUP = "libvirt"
LEFT = "Not set, the preset of live_migration_policy decides."
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
        default="tls",
        choices=["tcp", "tls", "ssh"],
        help="How one libvirt daemon talks to the other: qemu+SCHEME://ADDRESS/system. The disks "
        "of cold moves go the same way. tls needs certificates on every host, where libvirt "
        "looks for them; tcp is in the clear, and for networks that nobody else reaches.",
    ),
    cfg.StrOpt(
        "migration_ports",
        default="49152-49215",
        regex=r"^[0-9]{1,5}-[0-9]{1,5}$",
        help="First and last port that libvirt gives to incoming guests: migration_port_min and "
        "migration_port_max of this host's qemu.conf, the same on all hosts. The checks of a live "
        "migration try the first that is free and the last, and warn when qemu.conf says "
        "otherwise; a connection whose link is dead is known by them.",
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
        min=100,
        max=60000,
        help="Milliseconds that a guest may stand still at the switch, in the end: the first "
        "iterations get less. " + LEFT,
    ),
    cfg.ListOpt(
        "live_migration_ladder",
        item_type=types.Integer(min=10, max=60000),
        help="Milliseconds that a guest may stand still, by iteration, rising; the last step is "
        "live_migration_downtime, which caps all of them. " + LEFT,
    ),
    cfg.IntOpt(
        "live_migration_bandwidth",
        min=0,
        max=1000000,
        help="MiB per second for a live migration; 0 means as fast as the network goes. " + LEFT,
    ),
    cfg.IntOpt(
        "live_migration_completion_timeout",
        min=0,
        max=604800,
        help="Seconds per GiB of memory and copied disk, two GiB at least, after which "
        "live_migration_timeout_action is due; 0 means never. " + LEFT,
    ),
    cfg.StrOpt(
        "live_migration_policy",
        default="balanced",
        choices=["gentle", "balanced", "must-finish", "huge-vm"],
        help="The preset by which live migrations converge unless a flavor or a request names "
        "another; doc/convergence.md has their table. The options below that somebody sets "
        "change single values of this preset; those left alone leave them to it.",
    ),
    cfg.IntOpt(
        "live_migration_completion_limit",
        min=0,
        max=604800,
        help="Seconds for a whole live migration, whatever the guest's size; 0 means none. With "
        "live_migration_completion_timeout set too, the shorter one counts. " + LEFT,
    ),
    cfg.StrOpt(
        "live_migration_timeout_action",
        choices=["abort", "post-copy", "pause", "force_complete"],
        help="What is done about a live migration at its timeout: give it up, let the guest go on "
        "at the destination at once, or let it stand still until it is there. force_complete "
        "is post-copy where that can be, else pause. " + LEFT,
    ),
    cfg.StrOpt(
        "live_migration_post_copy",
        choices=["never", "on-timeout", "on-stall"],
        help="When a guest may go on at the destination before all of its memory is there: never, "
        "at the timeout, or as soon as the migration makes no progress. " + LEFT,
    ),
    cfg.IntOpt(
        "live_migration_stall_window",
        min=10,
        max=3600,
        help="Seconds without progress after which a migration has stalled. Short ones give "
        "auto-converge no time to work. " + LEFT,
    ),
    cfg.BoolOpt(
        "live_migration_allow_paused",
        help="Whether a guest may be made to stand still for its migration to end. " + LEFT,
    ),
    cfg.IntOpt(
        "live_migration_auto_converge_initial",
        min=1,
        max=99,
        help="Percent by which auto-converge slows a guest's processors down at first. " + LEFT,
    ),
    cfg.IntOpt(
        "live_migration_auto_converge_increment",
        min=1,
        max=99,
        help="Percent by which auto-converge slows them down further, as long as that is needed; "
        "large steps end sooner, and disturb the guest more. " + LEFT,
    ),
    cfg.BoolOpt(
        "live_migration_permit_post_copy",
        default=True,
        help="False forbids post-copy whatever a preset, flavor or request says. A guest in "
        "post-copy is on both hosts, and waits when either or the network fails.",
    ),
    cfg.BoolOpt(
        "live_migration_permit_auto_converge",
        default=True,
        help="False forbids slowing a guest's processors down whatever a preset, flavor or "
        "request says.",
    ),
    cfg.IntOpt(
        "live_migration_parallel_connections",
        min=1,
        max=255,
        help="Connections over which a guest's memory is copied. More fill a fast network; with "
        "QEMU before 10.1 more than one excludes post-copy, and QEMU may exceed the bandwidth. "
        + LEFT,
    ),
    cfg.StrOpt(
        "live_migration_compression",
        choices=["none", "xbzrle", "zlib", "zstd"],
        help="How memory is compressed on its way: xbzrle over one connection, zlib and zstd over "
        "several (live_migration_parallel_connections). It costs processor time. " + LEFT,
    ),
    cfg.BoolOpt(
        "live_migration_with_native_tls",
        default=True,
        help="True encrypts memory and disks of live migrations on their way; no flavor or "
        "request can then do without. It needs certificates for QEMU on every host: a move "
        "between hosts that have none is refused. False leaves it to the policy. The conductor "
        "decides by its own value: give it the same as the hosts.",
    ),
]

"""The policy of one live migration, made of its layers: presets, configuration, flavor, request.

A preset named nearer to the move replaces what lies behind it, but for what
belongs to the site's network (`SITE`); single fields change only themselves.
What the configuration forbids, no layer allows.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from oslo_config import cfg

from common import errors
from common import objects
from common import policy_fields

PREFIX = "whimbrel:migration_"
PRESET = "policy"  # whimbrel:migration_policy, and "policy" in a request, name a preset
DEFAULT = "balanced"
GROUP = "libvirt"
SITE = frozenset({"bandwidth", "parallel_connections"})

LADDER = [100, 150, 200, 300, 400, 400, 500]  # oVirt's
HUGE = [300, 400, 500, 700, 1000, 1000, 1500]  # oVirt's for very large guests

PRESETS: Mapping[str, Mapping[str, Any]] = types.MappingProxyType(
    {
        "gentle": {
            "downtime_ms": 500,
            "ladder": LADDER,
            "completion_timeout_per_gib": 150,
            "on_timeout": "abort",
        },
        "balanced": {
            "downtime_ms": 500,
            "ladder": LADDER,
            "completion_timeout_per_gib": 60,
            "on_timeout": "post-copy",
            "auto_converge": True,
            "post_copy": "on-timeout",
        },
        "must-finish": {
            "downtime_ms": 2000,
            "ladder": [*LADDER, 1000],
            "completion_timeout_per_gib": 60,
            "on_timeout": "post-copy",
            "auto_converge": True,
            "post_copy": "on-stall",
            "stall_window": 40,
            "allow_paused": True,
        },
        "huge-vm": {
            "downtime_ms": 5000,
            "ladder": HUGE,
            "completion_timeout_per_gib": 60,
            "on_timeout": "pause",
            "auto_converge": True,
            "allow_paused": True,
            "parallel_connections": 4,
        },
    }
)

# What a preset does not name.
PLAIN: Mapping[str, Any] = types.MappingProxyType(
    {
        "completion_timeout": 0,
        "auto_converge": False,
        "auto_converge_initial": 20,
        "auto_converge_increment": 10,
        "post_copy": "never",
        "stall_window": 60,
        "allow_paused": False,
        "parallel_connections": 1,
        "bandwidth": 0,
        "compression": "none",
        "tls": False,
    }
)

# Field: its option, where Nova has one of the same meaning under Nova's name.
OPTIONS: Mapping[str, str] = types.MappingProxyType(
    {
        "downtime_ms": "live_migration_downtime",
        "ladder": "live_migration_ladder",
        "completion_timeout": "live_migration_completion_limit",
        "completion_timeout_per_gib": "live_migration_completion_timeout",
        "on_timeout": "live_migration_timeout_action",
        "auto_converge_initial": "live_migration_auto_converge_initial",
        "auto_converge_increment": "live_migration_auto_converge_increment",
        "post_copy": "live_migration_post_copy",
        "stall_window": "live_migration_stall_window",
        "allow_paused": "live_migration_allow_paused",
        "parallel_connections": "live_migration_parallel_connections",
        "bandwidth": "live_migration_bandwidth",
        "compression": "live_migration_compression",
    }
)

# What a running job can still be told.
CHANGEABLE = frozenset(
    {
        "downtime_ms",
        "ladder",
        "bandwidth",
        "completion_timeout",
        "completion_timeout_per_gib",
        "on_timeout",
        "stall_window",
        "allow_paused",
    }
)


class Defaults(NamedTuple):
    """What a site's configuration says: a preset, single fields, and what no layer may undo."""

    preset: str = DEFAULT
    fields: Mapping[str, Any] = types.MappingProxyType({})
    permit_post_copy: bool = True
    permit_auto_converge: bool = True
    tls: bool = False


class _Layer(NamedTuple):
    """One source of fields; `said` words a key as its author wrote it."""

    said: str
    preset: str | None
    fields: Mapping[str, Any]


def defaults(conf: cfg.ConfigOpts) -> Defaults:
    """Read the configuration; an option that nobody set leaves its field to the preset."""
    group = conf[GROUP]
    said = {field: getattr(group, option) for field, option in OPTIONS.items()}
    found = {field: value for field, value in said.items() if value is not None}
    if found.get("on_timeout") == "force_complete":  # Nova's: post-copy if it may be, else a pause
        found = {"allow_paused": True, **found, "on_timeout": "post-copy"}
    return Defaults(
        preset=group.live_migration_policy,
        fields=found,
        permit_post_copy=group.live_migration_permit_post_copy,
        permit_auto_converge=group.live_migration_permit_auto_converge,
        tls=group.live_migration_with_native_tls,
    )


def resolve(
    site: Defaults, extra_specs: Mapping[str, str], request: Mapping[str, Any]
) -> objects.MigrationPolicy:
    """Make the policy of one move, or raise Invalid that names field, source and allowed values.

    `request` maps field names, and "policy" for a preset, to values; strings
    are read as extra specs are.
    """
    own = {
        key.removeprefix(PREFIX): value
        for key, value in extra_specs.items()
        if key.startswith(PREFIX)
    }
    layers = [
        _Layer("[libvirt]", site.preset, site.fields),
        _layer(f"flavor extra spec {PREFIX}", own),
        _layer("request field ", request),
    ]
    values, said = _stack(layers)
    _imply(values, said)
    _limit(site, values, said)
    _agree(values)
    return _whole(values)


def amend(policy: objects.MigrationPolicy, changes: Mapping[str, Any]) -> objects.MigrationPolicy:
    """Give the policy of a running move with some fields changed; Invalid for any other field.

    What libvirt takes only at the start of a job (flags, connections,
    compression, encryption) stays as it was; so a policy that never goes into
    post-copy cannot be told to at its timeout.
    """
    for name in changes:
        if name not in CHANGEABLE:
            raise errors.Invalid(
                f"{name} of a migration that goes on cannot be changed; what can: "
                f"{', '.join(sorted(CHANGEABLE))}"
            )
    read = {name: policy_fields.read(name, value, name) for name, value in changes.items()}
    if read.get("on_timeout") == "pause":
        read.setdefault("allow_paused", True)
    amended = policy.replace(**read)
    _possible(amended)
    return amended


def _possible(policy: objects.MigrationPolicy) -> None:
    """Refuse a timeout action that the rest of a running move's policy excludes."""
    if policy.on_timeout == "post-copy" and policy.post_copy == "never":
        raise errors.Invalid(
            "on_timeout is post-copy, but this migration began with post_copy never, which "
            "cannot be changed while it goes on; on_timeout may be abort or pause"
        )
    if policy.on_timeout == "pause" and not policy.allow_paused:
        raise errors.Invalid(
            "on_timeout is pause, which allow_paused, false, does not allow; "
            "set on_timeout to abort, too"
        )


def _whole(values: Mapping[str, Any]) -> objects.MigrationPolicy:
    made = objects.MigrationPolicy(**values)
    made.obj_reset_changes()
    return made


def _layer(said: str, given: Mapping[str, Any]) -> _Layer:
    rest = {name: value for name, value in given.items() if name != PRESET}
    for name in rest:
        if name not in policy_fields.FIELDS:
            raise errors.Invalid(
                f"{said}{name} is no field of a migration policy; there are "
                f"{PRESET}, {', '.join(policy_fields.FIELDS)}"
            )
    preset = given.get(PRESET)
    if preset is not None and preset not in PRESETS:
        raise errors.Invalid(
            f"{said}{PRESET} is {preset!r}; allowed are the presets {', '.join(PRESETS)}"
        )
    return _Layer(said, preset, rest)


def _stack(layers: list[_Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Lay the layers upon each other; also gives who said each field that no preset said."""
    values: dict[str, Any] = {}
    said: dict[str, str] = {}
    for layer in layers:
        if layer.preset is not None:
            site = {name: values[name] for name in SITE & said.keys()}
            said = {name: said[name] for name in site}
            values = {**PLAIN, "name": layer.preset, **PRESETS[layer.preset], **site}
        for name, value in layer.fields.items():
            words = _words(layer.said, name)
            values[name] = policy_fields.read(name, value, words)
            said[name] = words
    return values, said


def _words(said: str, name: str) -> str:
    return f"[{GROUP}] {OPTIONS.get(name, name)}" if said == f"[{GROUP}]" else f"{said}{name}"


def _imply(values: dict[str, Any], said: Mapping[str, str]) -> None:
    """Adjust what a preset said to what somebody said; refuse what contradicts itself."""
    wanted = values["on_timeout"]
    if values["post_copy"] == "on-timeout" and "post_copy" in said and "on_timeout" not in said:
        values["on_timeout"] = wanted = "post-copy"
    if wanted == "post-copy" and values["post_copy"] == "never":
        if "post_copy" not in said:
            values["post_copy"] = "on-timeout"
        elif "on_timeout" not in said:
            values["on_timeout"] = _instead(values)
        else:
            raise _contradiction(said["on_timeout"], wanted, said["post_copy"], "never")
    if wanted == "pause" and not values["allow_paused"]:
        if "allow_paused" not in said:
            values["allow_paused"] = True
        elif "on_timeout" not in said:
            values["on_timeout"] = "abort"
        else:
            raise _contradiction(said["on_timeout"], wanted, said["allow_paused"], "false")


def _limit(site: Defaults, values: dict[str, Any], said: Mapping[str, str]) -> None:
    """Hold the layers to what the configuration forbids; presets give way, people are told."""
    if not site.permit_post_copy and values["post_copy"] != "never":
        _refuse(said, "post_copy", "live_migration_permit_post_copy is false")
        values["post_copy"] = "never"
    if values["post_copy"] == "never" and values["on_timeout"] == "post-copy":
        _refuse(said, "on_timeout", "live_migration_permit_post_copy is false")
        values["on_timeout"] = _instead(values)
    if not site.permit_auto_converge and values["auto_converge"]:
        _refuse(said, "auto_converge", "live_migration_permit_auto_converge is false")
        values["auto_converge"] = False
    if site.tls and "tls" in said and not values["tls"]:
        _refuse(said, "tls", "live_migration_with_native_tls is true")
    values["tls"] = site.tls or values["tls"]


def _agree(values: Mapping[str, Any]) -> None:
    method, connections = values["compression"], values["parallel_connections"]
    if method in {"zlib", "zstd"} and connections == 1:
        raise errors.Invalid(
            f"compression is {method}, which needs parallel_connections of 2 or more"
        )
    if method == "xbzrle" and connections > 1:
        raise errors.Invalid(
            f"compression is xbzrle, which needs parallel_connections of 1, not {connections}"
        )


def _instead(values: Mapping[str, Any]) -> str:
    """Name the timeout action in place of a post-copy that may not be."""
    return "pause" if values["allow_paused"] else "abort"


def _refuse(said: Mapping[str, str], name: str, why: str) -> None:
    if name in said and not said[name].startswith("["):
        raise errors.Invalid(f"{said[name]} is refused: [{GROUP}] {why}")


def _contradiction(first: str, value: str, second: str, other: str) -> errors.Invalid:
    return errors.Invalid(f"{first} is {value}, which {second}, {other}, does not allow")

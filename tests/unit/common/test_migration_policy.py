"""A policy is made of its layers, and says whose word was wrong."""

from __future__ import annotations

import pytest
from oslo_config import types

from common import errors
from common import migration_policy
from common import policy_fields
from common.config import libvirt
from common.config import load
from common.objects import base

SITE = migration_policy.Defaults()
X = migration_policy.PREFIX


def resolve(specs=None, request=None, site=SITE):
    return migration_policy.resolve(site, specs or {}, request or {})


@pytest.mark.parametrize("name", migration_policy.PRESETS)
def test_preset_is_whole(name):
    """Each preset passes its own rules and has every field."""
    policy = resolve(request={"policy": name})

    assert name == policy.name
    assert all(policy.obj_attr_is_set(field) for field in policy.fields)


def test_every_field_can_be_written():
    """What an operator may set is what the policy has, but for its name."""
    fields = set(resolve().fields)

    assert fields - {"name"} == set(policy_fields.FIELDS)
    told = set(migration_policy.PLAIN).union(*migration_policy.PRESETS.values())
    assert fields - {"name"} == told


def test_the_option_knows_the_presets():
    """[libvirt] live_migration_policy offers the presets that there are."""
    conf = load.private({})

    for name in migration_policy.PRESETS:
        conf.set_override("live_migration_policy", name, group="libvirt")
        assert name == migration_policy.defaults(conf).preset


def test_without_layers_it_is_balanced():
    assert "balanced" == resolve().name


def test_flavor_changes_the_site_and_the_request_the_flavor():
    """The nearer layer wins, field by field."""
    site = migration_policy.Defaults(fields={"downtime_ms": 600, "bandwidth": 100})
    specs = {X + "downtime_ms": "700", X + "stall_window": "30", "hw:mem_page_size": "large"}

    policy = resolve(specs, {"downtime_ms": 800}, site)

    assert (800, 30, 100) == (policy.downtime_ms, policy.stall_window, policy.bandwidth)


def test_preset_replaces_what_lies_behind_it_but_the_network():
    """A request's preset undoes the flavor's fields; the site's bandwidth stays."""
    site = migration_policy.Defaults(fields={"downtime_ms": 600, "bandwidth": 100})

    policy = resolve({X + "downtime_ms": "700"}, {"policy": "gentle"}, site)

    assert ("gentle", 500, 100) == (policy.name, policy.downtime_ms, policy.bandwidth)


def test_flavor_may_name_a_preset():
    assert "must-finish" == resolve({X + "policy": "must-finish"}).name


@pytest.mark.parametrize(
    ("specs", "request_", "words"),
    [
        ({X + "downtime_ms": "5"}, {}, [X + "downtime_ms is '5'", "from 10 to 60000 (ms)"]),
        ({X + "policy": "fast"}, {}, [X + "policy is 'fast'", "gentle, balanced"]),
        ({X + "speed": "9"}, {}, [X + "speed is no field", "bandwidth"]),
        ({}, {"post_copy": "always"}, ["request field post_copy", "never or on-timeout"]),
        ({}, {"downtime_ms": True}, ["request field downtime_ms is True"]),
        ({}, {"ladder": "300,100"}, ["request field ladder", "rising"]),
        ({}, {"ladder": 7}, ["request field ladder"]),
        ({}, {"tls": "perhaps"}, ["request field tls", "true or false"]),
        ({}, {"compression": "zstd"}, ["zstd", "parallel_connections of 2"]),
        (
            {X + "compression": "xbzrle"},
            {"parallel_connections": 4},
            ["xbzrle", "parallel_connections of 1, not 4"],
        ),
        (
            {X + "post_copy": "never"},
            {"on_timeout": "post-copy"},
            ["request field on_timeout is post-copy", X + "post_copy, never"],
        ),
        (
            {X + "allow_paused": "no"},
            {"on_timeout": "pause"},
            ["request field on_timeout is pause", X + "allow_paused, false"],
        ),
    ],
)
def test_wrong_value_is_refused_with_its_source(specs, request_, words):
    """The sentence names the field, what is allowed, and who wrote it."""
    with pytest.raises(errors.Invalid) as refusal:
        resolve(specs, request_)

    assert [] == [word for word in words if word not in refusal.value.message]


@pytest.mark.parametrize(
    ("preset", "request_", "expected"),
    [
        ("gentle", {"on_timeout": "post-copy"}, ("post-copy", "on-timeout", False)),
        ("gentle", {"post_copy": "on-timeout"}, ("post-copy", "on-timeout", False)),
        ("gentle", {"on_timeout": "pause"}, ("pause", "never", True)),
        ("balanced", {"post_copy": "never"}, ("abort", "never", False)),
        ("must-finish", {"post_copy": "never"}, ("pause", "never", True)),
        ("huge-vm", {"allow_paused": False}, ("abort", "never", False)),
    ],
)
def test_what_is_asked_for_takes_along_what_it_needs(preset, request_, expected):
    """One field is enough: what the preset says against it gives way."""
    policy = resolve(request={"policy": preset, **request_})

    assert expected == (policy.on_timeout, policy.post_copy, policy.allow_paused)


def test_forbidden_post_copy_leaves_presets_working():
    """Where the site forbids post-copy, must-finish pauses and balanced gives up."""
    site = migration_policy.Defaults(permit_post_copy=False)

    made = [resolve(request={"policy": name}, site=site) for name in ("balanced", "must-finish")]

    assert [("never", "abort"), ("never", "pause")] == [(p.post_copy, p.on_timeout) for p in made]


@pytest.mark.parametrize(
    ("site", "request_", "option"),
    [
        ({"permit_post_copy": False}, {"post_copy": "on-stall"}, "permit_post_copy"),
        ({"permit_post_copy": False}, {"on_timeout": "post-copy"}, "permit_post_copy"),
        ({"permit_auto_converge": False}, {"auto_converge": True}, "permit_auto_converge"),
        ({"tls": True}, {"tls": False}, "with_native_tls"),
    ],
)
def test_what_the_site_forbids_is_refused(site, request_, option):
    """A request for what the configuration forbids says which option does."""
    with pytest.raises(errors.Invalid, match=f"is refused: .libvirt. live_migration_{option}"):
        resolve(request=request_, site=migration_policy.Defaults(**site))


def test_site_may_demand_tls():
    """A site with TLS has it in every policy; another may have it where it is asked for."""
    assert resolve(site=migration_policy.Defaults(tls=True)).tls
    assert resolve(request={"tls": "yes"}).tls
    assert not resolve().tls


def test_options_nobody_set_leave_the_preset_alone():
    """What is not set is no word of the operator's, but that plain TCP must be asked for."""
    found = migration_policy.defaults(load.private({}))

    assert migration_policy.Defaults(tls=True) == found


def test_options_that_are_set_change_the_preset():
    """Nova's names, where they mean the same; force_complete is post-copy, else a pause."""
    conf = load.private(
        {
            "libvirt.live_migration_policy": "gentle",
            "libvirt.live_migration_downtime": 700,
            "libvirt.live_migration_completion_timeout": 20,
            "libvirt.live_migration_timeout_action": "force_complete",
        }
    )

    policy = resolve(site=migration_policy.defaults(conf))

    assert ("gentle", 700, 20) == (
        policy.name,
        policy.downtime_ms,
        policy.completion_timeout_per_gib,
    )
    assert ("post-copy", "on-timeout", True) == (
        policy.on_timeout,
        policy.post_copy,
        policy.allow_paused,
    )


FIELDS_OF_OPTIONS = {
    "ladder": [50, 100],
    "auto_converge_initial": 30,
    "auto_converge_increment": 15,
    "post_copy": "on-stall",
    "stall_window": 25,
    "allow_paused": True,
    "compression": "zstd",
    "parallel_connections": 2,
}


def test_every_field_has_a_default_of_the_site():
    """But what is a permission; a flavor's preset and a request's field go before it."""
    conf = load.private(
        {f"libvirt.live_migration_{name}": value for name, value in FIELDS_OF_OPTIONS.items()}
    )
    site = migration_policy.defaults(conf)

    policy = resolve(site=site)

    assert FIELDS_OF_OPTIONS == {name: getattr(policy, name) for name in FIELDS_OF_OPTIONS}
    assert 40 == resolve(request={"stall_window": 40}, site=site).stall_window
    assert "never" == resolve({X + "policy": "gentle"}, {"compression": "none"}, site).post_copy
    assert policy_fields.FIELDS.keys() - {"auto_converge", "tls"} == set(migration_policy.OPTIONS)


def test_option_that_makes_no_sense_is_told_by_its_name():
    """Rungs that fall, say."""
    conf = load.private({"libvirt.live_migration_ladder": [300, 100]})

    with pytest.raises(errors.Invalid, match=r"\[libvirt\] live_migration_ladder is .*rising"):
        resolve(site=migration_policy.defaults(conf))


def test_force_complete_does_not_pause_where_that_is_forbidden():
    """An operator's word against it counts."""
    conf = load.private(
        {
            "libvirt.live_migration_timeout_action": "force_complete",
            "libvirt.live_migration_allow_paused": False,
        }
    )

    assert not resolve(site=migration_policy.defaults(conf)).allow_paused


def test_policy_crosses_the_bus():
    """A policy is a versioned value like the others."""
    policy = resolve()

    assert policy == base.Value.obj_from_primitive(policy.obj_to_primitive())


def test_running_move_takes_what_libvirt_can_still_change():
    """Downtime and bandwidth yes, encryption no; values are read as at the start."""
    amended = migration_policy.amend(resolve(), {"downtime_ms": "900", "bandwidth": 50})

    assert (900, 50) == (amended.downtime_ms, amended.bandwidth)
    with pytest.raises(errors.Invalid, match="tls of a migration that goes on cannot be changed"):
        migration_policy.amend(resolve(), {"tls": True})
    with pytest.raises(errors.Invalid, match="bandwidth is -1"):
        migration_policy.amend(resolve(), {"bandwidth": -1})


def test_pause_at_the_timeout_takes_along_its_permission():
    """As at the start: one field is enough."""
    amended = migration_policy.amend(resolve(), {"on_timeout": "pause"})

    assert ("pause", True) == (amended.on_timeout, amended.allow_paused)


@pytest.mark.parametrize(
    ("preset", "changes", "words"),
    [
        ("gentle", {"on_timeout": "post-copy"}, "began with post_copy never"),
        ("gentle", {"on_timeout": "pause", "allow_paused": False}, "allow_paused, false"),
        ("huge-vm", {"allow_paused": False}, "set on_timeout to abort, too"),
    ],
)
def test_timeout_action_that_cannot_be_is_refused(preset, changes, words):
    """A running move is not told to do what the rest of its policy excludes."""
    policy = resolve(request={"policy": preset})

    with pytest.raises(errors.Invalid, match=words):
        migration_policy.amend(policy, changes)


def test_option_knows_every_preset():
    """The configuration stands below the policy and has its names for itself."""
    (option,) = (each for each in libvirt.OPTIONS if each.name == "live_migration_policy")

    assert isinstance(option.type, types.String)
    assert list(migration_policy.PRESETS) == list(option.type.choices or ())
    assert migration_policy.DEFAULT == option.default

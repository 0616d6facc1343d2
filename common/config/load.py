"""Reading configuration files; the only place that names the global cfg.CONF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_log import log

from common.config import api
from common.config import compute
from common.config import conductor
from common.config import database
from common.config import default
from common.config import fleet
from common.config import image
from common.config import libvirt
from common.config import scheduler
from common.config import service
from common.config import simulated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

GROUPS = (
    default,
    api,
    database,
    conductor,
    scheduler,
    service,
    compute,
    libvirt,
    image,
    simulated,
    fleet,
)


def load(arguments: Sequence[str], program: str) -> cfg.ConfigOpts:
    """Read the process's options from its command line and configuration files.

    A value that its option does not allow raises cfg.Error now, not when used.
    oslo.messaging reads options of its own from the global object, so the
    same files are given to it too.
    """
    conf = _options()
    conf(list(arguments), project="whimbrel", prog=program)
    _read_all(conf)
    cfg.CONF([], project="whimbrel", prog=program, default_config_files=conf.config_file)
    return conf


def private(overrides: Mapping[str, object]) -> cfg.ConfigOpts:
    """Make the options of one of several services in this process, with no file.

    `overrides` maps "group.option", or "option" outside a group, to a value.
    """
    conf = _options()
    conf([], project="whimbrel", default_config_files=[], default_config_dirs=[])
    for name, value in overrides.items():
        group, _, option = name.rpartition(".")
        conf.set_override(option, value, group=group or None)
    return conf


def derived(conf: cfg.ConfigOpts, overrides: Mapping[str, object]) -> cfg.ConfigOpts:
    """Make the options of one of several hosts in this process: those of `conf`, but for these."""
    values: dict[str, object] = {}
    for group, options in list_opts():
        section, prefix = (conf, "") if group is None else (conf[group], f"{group}.")
        for option in options:
            value = getattr(section, option.dest)
            if value != option.default:
                values[prefix + option.dest] = value
    return private({**values, **overrides})


def messaging() -> cfg.ConfigOpts:
    """Give the options that oslo.messaging reads: those of the global object."""
    return cfg.CONF


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    """Give every option with its group, for the generated sample."""
    return [(group.GROUP, list(group.OPTIONS)) for group in GROUPS]


def _read_all(conf: cfg.ConfigOpts) -> None:
    """Have every value parsed and checked."""
    for group, options in list_opts():
        values = conf if group in {None, "DEFAULT"} else conf[group]
        for option in options:
            getattr(values, option.dest)


def _options() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    for group, options in list_opts():
        conf.register_opts(options, group=group)
    log.register_options(conf)
    return conf

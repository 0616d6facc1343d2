"""Which drivers there are: one row each."""

from __future__ import annotations

import importlib
from typing import cast
from typing import TYPE_CHECKING

from common import clock
from services.compute.virt.simulated import driver as simulated
from services.compute.virt.simulated import world

if TYPE_CHECKING:
    from collections.abc import Callable

    from oslo_config.cfg import ConfigOpts

    from services.compute.virt.driver import Driver


def make(conf: ConfigOpts) -> Driver:
    """Make the configured driver."""
    return DRIVERS[conf.compute.driver](conf)


def _simulated(conf: ConfigOpts) -> Driver:
    return simulated.Driver(conf, world.World(clock.SystemClock()))


def _libvirt(conf: ConfigOpts) -> Driver:
    # libvirt's Python binding is absent where only the simulation runs.
    module = importlib.import_module("services.compute.virt.libvirt.driver")
    return cast("Driver", module.Driver(conf))


DRIVERS: dict[str, Callable[[ConfigOpts], Driver]] = {
    "libvirt": _libvirt,
    "simulated": _simulated,
}

"""Servers on this host: build them, and do the operations of states.OPERATIONS."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import states
from services.compute import turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import objects
    from common.context import Context
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

BUILD = "build"


class Servers:
    """Does one thing at a time to a server; what is repeated or late is dropped."""

    def __init__(self, deps: Deps) -> None:
        """Begin with nothing going on."""
        self._deps = deps
        self._turns = turns.Turns()

    def build(self, context: Context, instance: objects.Instance) -> None:
        """Build a server and report it; what a failed build made is removed again."""
        self._in_turn(context, instance, BUILD, self._build)

    def operate(self, context: Context, instance: objects.Instance, operation: str) -> None:
        """Do an operation and report how it ended."""
        act = OPERATIONS[operation]
        self._in_turn(context, instance, operation, lambda server: act(self._deps, server))

    def _build(self, instance: objects.Instance) -> None:
        deps = self._deps
        there = deps.threads.native(deps.driver.guest, instance.uuid)
        if there is not None and there.run_token == instance.run_token:
            return
        try:
            files = deps.threads.native(deps.cache.files, instance)
            deps.threads.native(deps.driver.build, instance, files)
        except BaseException:
            deps.threads.native(deps.driver.destroy, instance)
            raise

    def _in_turn(
        self,
        context: Context,
        instance: objects.Instance,
        operation: str,
        act: Callable[[objects.Instance], None],
    ) -> None:
        turn = self._turns.take(context, instance, operation)
        if turn is None:
            self._repeat(context, instance, operation)
            return
        try:
            turn.error = self._attempt(instance, operation, act)
        finally:
            self._turns.end(turn)
        self._tell(turn.context, turn.instance, operation, turn.error)

    def _repeat(self, context: Context, instance: objects.Instance, operation: str) -> None:
        """Report once more what is done; whoever asks again has not heard of it."""
        LOG.info("server %s: %s goes on or is done already", instance.uuid, operation)
        done = self._turns.done(instance)
        if done is not None:
            self._tell(context, instance, operation, done.error)

    def _attempt(
        self,
        instance: objects.Instance,
        operation: str,
        act: Callable[[objects.Instance], None],
    ) -> errors.Error | None:
        """Do it; gives what went wrong."""
        try:
            act(instance)
        except errors.Error as refusal:
            return refusal
        except Exception as unexpected:
            LOG.exception("server %s: %s failed unexpectedly", instance.uuid, operation)
            return errors.RemoteError(
                f"{self._deps.conf.host} failed unexpectedly to {operation} server "
                f"{instance.uuid}: {type(unexpected).__name__}; its log has the reason"
            )
        return None

    def _tell(
        self,
        context: Context,
        instance: objects.Instance,
        operation: str,
        error: errors.Error | None,
    ) -> None:
        power = self._power(instance)
        if error is None:
            LOG.info("server %s: %s is done", instance.uuid, operation)
        else:
            LOG.warning("server %s: %s failed: %s", instance.uuid, operation, error)
        self._deps.reporter.operation_ended(context, instance, operation, error, power)

    def _power(self, instance: objects.Instance) -> states.Power:
        try:
            guest = self._deps.threads.native(self._deps.driver.guest, instance.uuid)
        except errors.HypervisorError:
            return states.Power.NOSTATE
        return guest.power if guest is not None else states.Power.NOSTATE


def _stop(deps: Deps, instance: objects.Instance) -> None:
    deps.threads.native(deps.driver.shut_down, instance, deps.conf.compute.shutdown_timeout)


def _start(deps: Deps, instance: objects.Instance) -> None:
    files = deps.threads.native(deps.cache.files, instance)
    deps.threads.native(deps.driver.power_on, instance, files)


def _reboot_soft(deps: Deps, instance: objects.Instance) -> None:
    _stop(deps, instance)
    _start(deps, instance)


def _reboot_hard(deps: Deps, instance: objects.Instance) -> None:
    deps.threads.native(deps.driver.power_off, instance)
    _start(deps, instance)


def _pause(deps: Deps, instance: objects.Instance) -> None:
    deps.threads.native(deps.driver.pause, instance)


def _unpause(deps: Deps, instance: objects.Instance) -> None:
    deps.threads.native(deps.driver.unpause, instance)


def _delete(deps: Deps, instance: objects.Instance) -> None:
    deps.threads.native(deps.driver.destroy, instance)


# One row per row of states.OPERATIONS.
OPERATIONS: dict[str, Callable[[Deps, objects.Instance], None]] = {
    "stop": _stop,
    "start": _start,
    "reboot_soft": _reboot_soft,
    "reboot_hard": _reboot_hard,
    "pause": _pause,
    "unpause": _unpause,
    "delete": _delete,
}

"""The wish that a move ends where it is: who has it, and the order that makes it come true."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors

if TYPE_CHECKING:
    from services.compute.deps import Deps
    from services.compute.link import Link

LOG = logging.getLogger(__name__)

HEED = 3.0  # seconds for which who asks waits for what the hypervisor says


class Stop:
    """Somebody's wish that one move be aborted, or nobody's yet."""

    def __init__(self, deps: Deps, server: str, migration: str, link: Link) -> None:
        """Begin with nobody's."""
        self._deps = deps
        self._server = server
        self._migration = migration
        self._link = link
        self.reason: str | None = None
        self._over = False

    def want(self, reason: str) -> None:
        """Have the move end; what has not begun does not begin. WrongState once it is over."""
        if self._over:
            raise errors.WrongState(f"migration {self._migration} ends just now by itself")
        self.reason = reason
        self._link.hurry()

    def over(self) -> str | None:
        """Hear no more wishes, for the move's end is about to be reported; gives the last."""
        self._over = True
        return self.reason

    def order(self, *, copies: bool) -> None:
        """Stop the job, or take the wish back and raise WrongState when it is too late.

        One that is not seen to copy yet may be a moment away from its begin.
        """
        order = self._deps.threads.spawn(self._tell)
        # A hypervisor that waits for a dead stream answers late: who asked does not wait.
        late = order.result() if order.wait(HEED) else None
        if late is None or not copies:
            return
        self.reason = None
        self._link.relent()
        raise errors.WrongState(
            f"migration {self._migration} cannot be aborted any more: {late.message}"
        )

    def again(self) -> None:
        """Stop the job once more, whatever came of it before."""
        self._link.hurry()
        self._tell()

    def _tell(self) -> errors.Error | None:
        """Have the hypervisor stop the job, and give why it says that there is none to stop."""
        try:
            self._deps.threads.native(self._deps.driver.abort, self._server)
        except (errors.WrongState, errors.GuestNotFound) as late:
            return late
        except errors.HypervisorError as trouble:
            LOG.info("migration %s: not aborted yet: %s", self._migration, trouble)
        return None

"""One request on its way through the API, and what handlers work with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import context as contexts
from common import ids
from services.api import versions

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts
    from werkzeug import Request

    from common import objects
    from common.clock import Clock
    from common.context import Context
    from common.db.engine import Database
    from common.images import Store
    from common.policy import Policy
    from rpc.conductor import Conductor
    from services.api.route import Route


class Parts(NamedTuple):
    """What this process has: passed on, never looked up."""

    conf: ConfigOpts
    database: Database
    conductor: Conductor
    images: Store
    policy: Policy
    clock: Clock


@dataclasses.dataclass
class Call:
    """One request; middleware fills in what it finds out, in the order of app.MIDDLEWARE."""

    request: Request
    parts: Parts
    context: Context = dataclasses.field(default_factory=contexts.Context)
    version: versions.Version = versions.MIN
    route: Route | None = None
    arguments: dict[str, str] = dataclasses.field(default_factory=dict)
    body: Any = None

    @property
    def root(self) -> str:
        """Give the URL of the compute API, without a slash at the end."""
        return f"{self.request.host_url}v2.1"

    @property
    def admin(self) -> bool:
        """Tell whether the user administrates the whole cloud."""
        return bool(self.context.is_admin)

    def since(self, *version: int) -> bool:
        """Tell whether the request speaks this microversion or a later one."""
        return self.version >= version

    def enforce(self, rule: str, target: Mapping[str, Any] | None = None) -> None:
        """Raise Forbidden unless the user may do this, to an object with these owners."""
        self.parts.policy.enforce(self.context, rule, target)

    def sees(self, server: objects.Instance) -> bool:
        """Tell whether the server is one of the user's; to others it does not exist."""
        return self.admin or server.project_id == self.context.project_id


def new(request: Request, parts: Parts) -> Call:
    """Begin with nothing known but a fresh request id."""
    call = Call(request, parts)
    call.context = contexts.Context(request_id=ids.request())
    return call

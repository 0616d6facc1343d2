"""One row of the URL table, and what its handler answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from services.api import schemas
from services.api import versions

JSON = dict[str, Any]
END: versions.Version = (9, 9)


class Reply(NamedTuple):
    """An answer with headers of its own, and maybe another status than its route's."""

    body: JSON | None
    headers: Mapping[str, str]
    status: int | None = None


Handler = Callable[..., JSON | Reply | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Route:
    """One method of one path: who may, what it answers, and which microversions have it."""

    method: str
    path: str
    handler: Handler
    rule: str = "known"
    status: int = 200
    schema: schemas.Schemas | None = None
    since: versions.Version = versions.MIN
    until: versions.Version = END
    open: bool = False

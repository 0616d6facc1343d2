"""Identifiers, from one place."""

from __future__ import annotations

import uuid


def new() -> str:
    """Make a fresh random uuid in its usual dashed form."""
    return str(uuid.uuid4())


def derive(parent: str, number: int) -> str:
    """Make the uuid that always follows from a uuid and a number."""
    return str(uuid.uuid5(uuid.UUID(parent), str(number)))


def request() -> str:
    """Make a request id in the form that OpenStack clients print."""
    return f"req-{uuid.uuid4()}"


def is_uuid(text: str) -> bool:
    """Tell whether the text is a uuid in any accepted form."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True

"""Who asked, and under which request id: travels in every message and log line."""

from __future__ import annotations

from typing import Any

from oslo_context import context as oslo_context

from common import ids


class Context(oslo_context.RequestContext):
    """One request: user, project, roles and request id.

    It is what oslo.log reads the `request_id` of every log line from.
    """


def admin(request_id: str | None = None) -> Context:
    """Make the context of a service that acts for itself."""
    return Context(
        user_id="whimbrel",
        project_id="whimbrel",
        roles=["admin"],
        is_admin=True,
        request_id=request_id or ids.request(),
    )


def adopt(context: Context) -> None:
    """Make this the thread's current request: its log lines carry the request id."""
    context.update_store()


def rebuild(values: dict[str, Any]) -> Context:
    """Make the context again from `to_dict()`, and make it the thread's current one."""
    return Context.from_dict(values)

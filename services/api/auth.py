"""Who asks: two ways to tell, one table."""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import pathlib
import threading
from collections.abc import Callable
from typing import NamedTuple
from typing import TYPE_CHECKING

import bcrypt
from werkzeug.datastructures import Authorization

from common import context as contexts
from common import errors

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts
    from werkzeug import Request

    from common.context import Context

PROJECT = "whimbrel"
ADMIN = ("admin",)

Authenticate = Callable[["Request", str], "Context"]


class User(NamedTuple):
    """One line of the password file: NAME:BCRYPT-HASH, and :ROLE,ROLE when not an admin."""

    hashed: bytes
    roles: tuple[str, ...]


def make(conf: ConfigOpts) -> Authenticate:
    """Give the function that finds out who asks."""
    if conf.api.auth == "noauth":
        check_loopback(conf.api.listen)
    return METHODS[conf.api.auth](conf)


def check_loopback(listen: str) -> None:
    """Refuse to serve everybody: without authentication only this machine may connect."""
    try:
        safe = listen == "localhost" or ipaddress.ip_address(listen).is_loopback
    except ValueError:
        safe = False
    if not safe:
        raise errors.Invalid(
            f"auth = noauth makes everybody an administrator, and listen = {listen} lets other "
            "machines in; listen on 127.0.0.1, or set auth = http_basic in [api]"
        )


def context(user: str, roles: tuple[str, ...], request_id: str) -> Context:
    """Make the context of a known user."""
    return contexts.Context(
        user_id=user,
        project_id=PROJECT,
        roles=list(roles),
        is_admin="admin" in roles,
        request_id=request_id,
    )


class Passwords:
    """The users of a file, read again when it changes."""

    def __init__(self, path: str) -> None:
        """Read `path` at the first request."""
        self._path = pathlib.Path(path)
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._users: dict[str, User] = {}
        # bcrypt is slow by intent (0.1 s and more), so a password that was right is remembered
        # for as long as its hash stands in the file.
        self._right: dict[bytes, str] = {}

    def __call__(self, request: Request, request_id: str) -> Context:
        """Give the context of the user whose password was sent, or raise Unauthorized."""
        sent = _basic(request)
        if sent is None or sent.username is None or sent.password is None:
            raise errors.Unauthorized("name and password are needed: HTTP Basic authentication")
        user = self._read().get(sent.username)
        if user is None or not self._matches(sent.username, sent.password, user):
            raise errors.Unauthorized("the name or the password is wrong")
        return context(sent.username, user.roles, request_id)

    def _matches(self, name: str, password: str, user: User) -> bool:
        seen = hashlib.sha256(user.hashed + b"\0" + password.encode()).digest()
        if self._right.get(seen) == name:
            return True
        try:
            # bcrypt looks at 72 bytes and refuses more.
            right = bcrypt.checkpw(password.encode()[:72], user.hashed)
        except ValueError:
            return False
        if right:
            self._right[seen] = name
        return right

    def _read(self) -> dict[str, User]:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            with self._lock:
                if stamp != self._stamp:
                    self._users = _parse(self._path.read_text())
                    self._right = {}
                    self._stamp = stamp
                return self._users
        except OSError as wrong:
            raise errors.Unavailable(
                f"the password file {self._path} cannot be read ({wrong.strerror}); "
                "see http_basic_file in [api]"
            ) from wrong


def _open_to_all(_conf: ConfigOpts) -> Authenticate:
    return lambda _request, request_id: context("admin", ADMIN, request_id)


def _basic(request: Request) -> Authorization | None:
    try:
        return request.authorization
    except (ValueError, binascii.Error):
        return None


def _parse(text: str) -> dict[str, User]:
    users = {}
    for line in text.splitlines():
        name, _, rest = line.strip().partition(":")
        hashed, _, roles = rest.partition(":")
        if not name or name.startswith("#") or not hashed:
            continue
        listed = tuple(role.strip() for role in roles.split(",") if role.strip())
        users[name] = User(hashed.encode(), listed or ADMIN)
    return users


METHODS: dict[str, Callable[[ConfigOpts], Authenticate]] = {
    "noauth": _open_to_all,
    "http_basic": lambda conf: Passwords(conf.api.http_basic_file),
}

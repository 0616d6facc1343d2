"""An RPC method is declared once; the server's and the client's half derive from it.

A service's interface is an abstract class. Its manager subclasses it, so a
missing method cannot start; its client is made from it, so a wrong argument
fails at the caller and never on the wire.

    class Echo(interface.Interface):
        TOPIC = "echo"
        VERSION = "1.0"

        @interface.call(since="1.0", timeout=5)
        def say(self, context: Context, words: str) -> str: ...
"""

from __future__ import annotations

import abc
import inspect
from typing import Any
from typing import ClassVar
from typing import NamedTuple
from typing import TYPE_CHECKING
from typing import TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_MARK = "__rpc__"


class Method(NamedTuple):
    """How one method goes over the bus; times are seconds."""

    name: str
    waits: bool  # a call waits for the result, a cast does not
    since: str
    timeout: float
    signature: inspect.Signature
    slow: bool = False  # waits for other services: threads of its own answer it
    monitor: int = 0  # silence after which the caller takes the server for dead; 0: none is


class Interface(abc.ABC):
    """The root of every RPC interface."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[str]


def call(*, since: str, timeout: float, slow: bool = False, monitor: int = 0) -> Callable[[F], F]:
    """Declare a method whose caller waits for its result, `timeout` seconds at most.

    One that is `slow` because it waits for other services keeps no other
    method waiting, however many of it go on. Of one with `monitor` the server
    gives signs of life while it works, twice as often: so many seconds (2 or
    more) without one end the call, whatever is left of its timeout.
    """
    return _declare(waits=True, since=since, timeout=timeout, slow=slow, monitor=monitor)


def cast(*, since: str) -> Callable[[F], F]:
    """Declare a method that nobody waits for: safe to lose and safe to repeat."""
    return _declare(waits=False, since=since, timeout=0)


def methods(interface: type[Interface]) -> dict[str, Method]:
    """Give every method declared by the interface, or by that of a manager, by name."""
    return {
        name: getattr(member, _MARK)
        for kind in reversed(interface.__mro__)
        for name, member in vars(kind).items()
        if hasattr(member, _MARK)
    }


def fingerprint(interface: type[Interface]) -> list[str]:
    """Give one line per method that changes whenever its signature does."""
    return [
        f"{method.name}{method.signature} {'call' if method.waits else 'cast'} "
        f"since {method.since} timeout {method.timeout:g}{_monitored(method)}"
        f"{' slow' if method.slow else ''}"
        for _, method in sorted(methods(interface).items())
    ]


def _monitored(method: Method) -> str:
    return f" monitor {method.monitor}" if method.monitor else ""


def _declare(
    *, waits: bool, since: str, timeout: float, slow: bool = False, monitor: int = 0
) -> Callable[[F], F]:
    def mark(function: F) -> F:
        method = Method(
            name=function.__name__,
            waits=waits,
            since=since,
            timeout=timeout,
            signature=inspect.signature(function),
            slow=slow,
            monitor=monitor,
        )
        setattr(function, _MARK, method)
        return abc.abstractmethod(function)

    return mark

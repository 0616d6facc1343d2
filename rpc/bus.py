"""The bus: clients and servers of the declared interfaces, over oslo.messaging.

Guarantees: a call ends within its timeout, at once when the broker is away,
within two HEARTBEATs when it hangs, and a monitored one soon after its server
has died; an error on purpose arrives as the same class with the same sentence
and nothing else; an unexpected one arrives as RemoteError and leaves its
traceback in the log of the service that failed. Messages are acknowledged
before they are dispatched: a crash loses them, so every cast is safe to lose.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any
from typing import cast
from typing import TYPE_CHECKING
from typing import TypeVar

import kombu.exceptions
import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging import exceptions
from oslo_messaging._drivers import impl_rabbit
from oslo_messaging.rpc import dispatcher

from common import context as contexts
from common import errors
from common.config import load
from rpc import interface
from rpc import memory
from rpc import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from oslo_config.cfg import ConfigOpts

    from common.context import Context

LOG = logging.getLogger(__name__)
I = TypeVar("I", bound=interface.Interface)  # noqa: E741 - the usual name of one type

# Ours on a broker that others use too.
EXCHANGE = "whimbrel"

# Seconds: what a broker that hangs can hold a request for, twice at most, on a connection
# that has not sent to our exchange yet. RabbitMQ advises 5 to 20; oslo.messaging's default is 60.
# https://www.rabbitmq.com/docs/heartbeats#heartbeats-timeout
HEARTBEAT = 15

# The bus answers these itself; the words are for whoever waits.
AWAY = (
    exceptions.MessageDeliveryFailure,
    messaging.ClientSendError,
    ConnectionError,
    kombu.exceptions.OperationalError,
)

# Where a client keeps what sends its messages; no method of an interface is named so.
CALLER = "_caller"

# Added to the topic of an interface where its slow methods are served.
SLOW = "-slow"

NOBODY = messaging.Target(topic="nobody", version="1.0")


def set_defaults() -> None:
    """Give oslo.messaging's options our defaults: for every bus, and for the sample file."""
    messaging.set_transport_defaults(control_exchange=EXCHANGE)
    cfg.set_defaults(impl_rabbit.rabbit_opts, heartbeat_timeout_threshold=HEARTBEAT)


class Bus:
    """One process's connection to the broker; made once and passed on."""

    def __init__(self, conf: ConfigOpts) -> None:
        """Set the transport up; nothing is connected before the first use."""
        set_defaults()
        self._transport = _transport(load.messaging(), conf.transport_url)
        self._serializer = wire.Serializer()
        self._callers: dict[type[interface.Interface], type[interface.Interface]] = {}

    def client(self, kind: type[I], server: str | None = None) -> I:
        """Make the calling half of an interface, for one server or for any of the topic."""
        target = messaging.Target(topic=kind.TOPIC, version=kind.VERSION, server=server)
        client = messaging.get_rpc_client(
            self._transport, target, serializer=self._serializer, retry=0
        )
        if kind not in self._callers:
            self._callers[kind] = _calling_half(kind)
        made = self._callers[kind]()
        vars(made)[CALLER] = _Caller(client, kind.TOPIC, server)
        return cast("I", made)

    def serve(self, manager: interface.Interface, server: str, threads: int) -> Serving:
        """Make the serving half; `start()` and `stop()` it.

        As many threads again answer the interface's slow methods, if it has any.
        """
        kind = type(manager)
        known = interface.methods(kind).values()
        topics = [kind.TOPIC] + [kind.TOPIC + SLOW] * any(method.slow for method in known)
        endpoint = _endpoint(manager, f"{kind.TOPIC} {server}")
        return Serving(
            [
                self._server(messaging.Target(topic=topic, server=server), endpoint, threads)
                for topic in topics
            ]
        )

    def _server(
        self, target: messaging.Target, endpoint: object, threads: int
    ) -> messaging.RPCServer:
        made = messaging.get_rpc_server(
            self._transport,
            target,
            [endpoint],
            executor="threading",
            serializer=self._serializer,
            access_policy=dispatcher.ExplicitRPCAccessPolicy,
        )
        made.conf.set_override("executor_thread_pool_size", threads)
        return made

    def open(self) -> None:
        """Open the queue of answers now, waiting for the broker as long as it takes.

        oslo.messaging opens it at the first call, and waits for a lost broker
        without end then; a call on an open one is refused in time. A service
        that reports has done it with its first report.
        """
        client = messaging.get_rpc_client(self._transport, NOBODY, retry=0).prepare(
            timeout=1, transport_options=messaging.TransportOptions(at_least_once=True)
        )
        # Nobody listens: the message comes back, and the queue of answers stays.
        with contextlib.suppress(exceptions.MessageUndeliverable, messaging.MessagingTimeout):
            client.call({}, "nothing")

    def close(self) -> None:
        """Let the connections go."""
        self._transport.cleanup()


class Serving:
    """The serving half of one interface."""

    def __init__(self, servers: list[messaging.RPCServer]) -> None:
        """Hold what serves its topics."""
        self._servers = servers

    def start(self) -> None:
        """Answer from now on."""
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        """Take no more messages."""
        for server in self._servers:
            server.stop()

    def wait(self) -> None:
        """Wait until what has begun is finished; to be called after stop()."""
        for server in self._servers:
            server.wait()


class _Caller:
    """Sends one message, and puts what went wrong into our own words."""

    def __init__(self, client: messaging.RPCClient, topic: str, server: str | None) -> None:
        self._client = client
        self._topic = topic
        self._whom = f"{topic} on {server}" if server else topic

    def send(self, method: interface.Method, context: Context, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any method's result
        try:
            return self._send(method, context, values)
        except exceptions.MessagingTimeout as late:
            raise errors.NoAnswer(
                f"{self._whom} did not answer {method.name} within {method.timeout:g} s"
                f"{_silence(method)}; see whether it is up: whimbrel service list"
            ) from late
        except exceptions.MessageUndeliverable as nobody:
            raise errors.NoAnswer(
                f"nobody serves {self._whom}, so {method.name} was not sent; start it, or see "
                "what is up: whimbrel service list"
            ) from nobody
        except AWAY as away:
            raise errors.BusDown(
                f"the message broker cannot be reached, so {method.name} was not sent; "
                "try again when it is back"
            ) from away
        except exceptions.MessagingException as other:
            # The bus of the other side refused it: it speaks another version.
            words = str(other).partition("\n")[0]
            raise errors.RemoteError(
                f"{self._whom} does not understand {method.name}: {words}; "
                "see that all services are of one release"
            ) from other

    def _send(self, method: interface.Method, context: Context, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any method's result
        prepared = self._client.prepare(
            topic=self._topic + SLOW if method.slow else self._topic,
            version=method.since,
            timeout=method.timeout or None,
            call_monitor_timeout=method.monitor or None,
            transport_options=messaging.TransportOptions(at_least_once=True),
        )
        if not method.waits:
            prepared.cast(context, method.name, **values)
            return None
        return wire.open_answer(prepared.call(context, method.name, **values))


def _silence(method: interface.Method) -> str:
    """Say what else a caller may have waited for in vain: the bus does not tell which it was."""
    if not method.monitor:
        return ""
    return f", or gave no sign of life for {method.monitor} s"


def _transport(conf: ConfigOpts, url: str) -> messaging.RPCTransport:
    parsed = messaging.TransportURL.parse(conf, url)
    if parsed.transport == memory.SCHEME:
        return memory.transport(conf, parsed)
    return messaging.get_rpc_transport(conf, url=url)


def _calling_half(kind: type[interface.Interface]) -> type[interface.Interface]:
    """Make the class of an interface's clients: once, for a client is made for every message."""
    body: dict[str, Any] = {
        name: _calling(method) for name, method in interface.methods(kind).items()
    }
    return type(f"{kind.__name__}Client", (kind,), body)


def _calling(method: interface.Method) -> Callable[..., Any]:
    def send(self: object, context: Context, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - any method's result
        bound = method.signature.bind(self, context, *args, **kwargs)
        bound.apply_defaults()
        values = dict(bound.arguments)
        del values["self"], values["context"]
        caller: _Caller = vars(self)[CALLER]
        return caller.send(method, context, values)

    return send


def _endpoint(manager: interface.Interface, whom: str) -> object:
    """Expose the declared methods, and only those."""
    body: dict[str, Any] = {"target": messaging.Target(version=type(manager).VERSION)}
    for name, method in interface.methods(type(manager)).items():
        body[name] = messaging.expose(_serving(getattr(manager, name), method, whom))
    return type("Endpoint", (), body)()


def _serving(
    handle: Callable[..., Any], method: interface.Method, whom: str
) -> Callable[..., dict[str, Any]]:
    def serve(_self: object, values: dict[str, Any], **kwargs: object) -> dict[str, Any]:
        context = contexts.rebuild(values)
        try:
            return wire.answer(handle(context, **kwargs))
        except errors.Error as refusal:
            LOG.info("%s: %s", method.name, refusal)
            return wire.refusal(refusal)
        except Exception:
            LOG.exception("%s failed", method.name)
            return wire.refusal(
                errors.RemoteError(
                    f"{whom} failed unexpectedly in {method.name}; its log has the reason "
                    f"under {context.request_id}"
                )
            )

    return serve

"""The bus inside one process: oslo.messaging's own, whose listeners hear of messages at once.

Its listeners look for messages every 50 ms. Each message would wait for half of
that in the mean, and a move takes a dozen, one after the other.
"""

from __future__ import annotations

import threading
import time
from typing import Any
from typing import ClassVar
from typing import TYPE_CHECKING

import oslo_messaging as messaging
from oslo_messaging import transport as transports
from oslo_messaging._drivers import base
from oslo_messaging._drivers import impl_fake

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

SCHEME = "fake"
# Seconds until a listener looks all the same: another bus that closes forgets all exchanges.
LOOK = 0.05


class Exchange(impl_fake.FakeExchange):  # type: ignore[misc]  # the library has no types
    """Queues by topic, and what to wait for while they are empty."""

    def __init__(self, name: str) -> None:
        """Begin empty."""
        super().__init__(name)
        self.news = threading.Condition(self._queues_lock)

    def deliver_message(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - handed on
        """Put a message into its queues and wake whoever listens."""
        with self.news:
            super().deliver_message(*args, **more)
            self.news.notify_all()


class Exchanges(impl_fake.FakeExchangeManager):  # type: ignore[misc] # as above
    """The exchanges of this process."""

    _exchanges: ClassVar[dict[str, Exchange]] = {}

    def get_exchange(self, name: str | None) -> Exchange:
        """Give the exchange of this name, made when first asked for."""
        key = name or self._default_exchange
        with self._exchanges_lock:
            if key not in self._exchanges:
                self._exchanges[key] = Exchange(key)
            return self._exchanges[key]


class Listener(impl_fake.FakeListener):  # type: ignore[misc] # as above
    """Takes messages as they come."""

    @base.batch_poll_helper  # type: ignore[untyped-decorator] # as above
    def poll(self, timeout: float | None = None) -> impl_fake.FakeIncomingMessage | None:
        """Give the next message, or None after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._stopped.is_set():
            left = LOOK if deadline is None else min(LOOK, deadline - time.monotonic())
            exchange = self._exchange_manager.get_exchange(self._targets[0].exchange)
            with exchange.news:
                for target in self._targets:
                    context, message, replies, again = exchange.poll(target, self._pool)
                    if message is not None:
                        return impl_fake.FakeIncomingMessage(context, message, replies, again)
                if left <= 0:
                    return None
                exchange.news.wait(left)
        return None


class Driver(impl_fake.FakeDriver):  # type: ignore[misc] # as above
    """Carries messages within this process."""

    def __init__(self, conf: ConfigOpts, url: messaging.TransportURL) -> None:
        """Use the exchanges that all buses of the process use."""
        super().__init__(conf, url, default_exchange=conf.control_exchange)
        self._exchange_manager = Exchanges(conf.control_exchange)

    def listen(
        self, target: messaging.Target, batch_size: int, batch_timeout: float | None
    ) -> base.PollStyleListenerAdapter:
        """Listen for what is said to a server, and to any of its topic."""
        exchange = target.exchange or self._default_exchange
        one = messaging.Target(topic=target.topic, server=target.server, exchange=exchange)
        any_ = messaging.Target(topic=target.topic, exchange=exchange)
        listener = Listener(self._exchange_manager, [one, any_])
        return base.PollStyleListenerAdapter(listener, batch_size, batch_timeout)


def transport(conf: ConfigOpts, url: messaging.TransportURL) -> messaging.RPCTransport:
    """Make a transport to everybody in this process."""
    return transports.RPCTransport(Driver(conf, url))

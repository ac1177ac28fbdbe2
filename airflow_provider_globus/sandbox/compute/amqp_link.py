"""One connection to an AMQP broker, kept in a thread of its own; it knows nothing of Compute.

Everything that touches the connection runs in that thread. Others hand it work: `post` returns at once, `perform` waits
until it is done. A connection that breaks is made again, with its consumers, and work that waits goes on waiting.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pika  # type: ignore[import-untyped]
from pika.exceptions import AMQPError  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

# pika has no types: a `pika.adapters.blocking_connection.BlockingChannel`.
Channel: TypeAlias = Any
Work: TypeAlias = Callable[[Channel], None]
Consumer: TypeAlias = Callable[[bytes], None]

_START_SECONDS = 15.0
_PERFORM_SECONDS = 5.0
_STOP_SECONDS = 5.0
# How long the thread sleeps when nothing happens; whatever does happen wakes it.
_IDLE_SECONDS = 0.5
_RECONNECT_SECONDS = 0.5
# Messages a consumer may hold before it has acknowledged them.
_PREFETCH = 500


class BrokerUnreachable(ConnectionError):
    """The AMQP broker does not answer, or refuses our name and password; the message has neither in it."""


class AmqpLink:
    """A connection to a broker.

    :param url: the broker's AMQP URL.
    :param prepare: declares what must exist; called with the channel after every connect.
    :param consumers: what to call, in the thread, with the body of each message of a queue. An error in there is
        logged and costs that message, not the connection.
    :param tick: called in the thread every few seconds.
    """

    def __init__(self, url: str, prepare: Work, consumers: Mapping[str, Consumer], tick: Callable[[], None]) -> None:
        # Its steps of every connection would bury what tests and DAGs have to say.
        logging.getLogger("pika").setLevel(logging.WARNING)
        self._parameters = pika.URLParameters(url)
        self._parameters.client_properties = {"connection_name": "globus sandbox"}
        self._address = address_of(url)
        self._prepare = prepare
        self._consumers = consumers
        self._tick = tick
        self._jobs: deque[Work] = deque()
        self._lock = threading.Lock()
        self._connection: Any = None
        self._first_connect: Future[None] = Future()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"globus-sandbox-amqp-{self._address}", daemon=True)

    def start(self) -> None:
        """Connect; raises `BrokerUnreachable` when the broker cannot be used."""
        self._thread.start()
        try:
            self._first_connect.result(_START_SECONDS)
        except (AMQPError, OSError, TimeoutError) as error:
            self.close()
            raise BrokerUnreachable(
                f"The AMQP broker at {self._address} cannot be used ({type(error).__name__}): start it, or check the "
                "host, port, user and password in amqp_url"
            ) from None

    def close(self) -> None:
        """Do what waits, if the broker is there, and disconnect; a second call does nothing."""
        self._closing.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def post(self, work: Work) -> None:
        """Have the thread do something with the channel, after all that was posted before; returns at once.

        Work that a breaking connection interrupts is done again on the next one.
        """
        self._jobs.append(work)
        self._wake()

    def perform(self, work: Work) -> None:
        """Do the same and wait until it is done; not for the thread itself.

        Raises what the broker refuses, and TimeoutError while there is no broker: it is done once there is one.
        """
        done: Future[None] = Future()

        def run(channel: Channel) -> None:
            try:
                work(channel)
            except AMQPError as error:
                if channel.connection.is_open:
                    done.set_exception(error)
                raise
            done.set_result(None)

        self.post(run)
        done.result(_PERFORM_SECONDS)

    def _wake(self) -> None:
        with self._lock:
            if self._connection is not None:
                # One that just broke has nobody to wake: the thread looks at its work after every connect.
                with contextlib.suppress(AMQPError):
                    self._connection.add_callback_threadsafe(lambda: None)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._serve()
            except (AMQPError, OSError) as error:
                if not self._first_connect.done():
                    self._first_connect.set_exception(error)
                    return
                if not self._closing.is_set():
                    log.warning(f"Lost the AMQP broker at {self._address} ({type(error).__name__}); connecting again")
                self._closing.wait(_RECONNECT_SECONDS)

    def _serve(self) -> None:
        """Connect and work until the connection breaks or is closed."""
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = self._open_channel(connection)
            with self._lock:
                self._connection = connection
            if not self._first_connect.done():
                self._first_connect.set_result(None)
            while not self._closing.is_set():
                channel = self._work_off(connection, channel)
                connection.process_data_events(_IDLE_SECONDS)
                self._tick()
            self._work_off(connection, channel)
        finally:
            with self._lock:
                self._connection = None
            with contextlib.suppress(AMQPError, OSError):
                connection.close()

    def _open_channel(self, connection: Any) -> Channel:
        channel = connection.channel()
        self._prepare(channel)
        channel.basic_qos(prefetch_count=_PREFETCH)
        for queue, consumer in self._consumers.items():
            channel.basic_consume(queue, _acknowledging(queue, consumer))
        return channel

    def _work_off(self, connection: Any, channel: Channel) -> Channel:
        """Do what was posted; returns the channel to go on with, as a refused request closes a channel."""
        while self._jobs:
            try:
                self._jobs[0](channel)
            except AMQPError as error:
                if not connection.is_open:
                    raise
                log.warning(f"The AMQP broker at {self._address} refused a request: {error}")
            self._jobs.popleft()
            if not channel.is_open:
                channel = self._open_channel(connection)
        return channel


def address_of(url: str) -> str:
    """Return host and port of an AMQP URL, which is all of it that may be shown."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"


def _acknowledging(queue: str, consumer: Consumer) -> Callable[[Any, Any, Any, bytes], None]:
    def consume(channel: Channel, delivery: Any, properties: Any, body: bytes) -> None:
        try:
            consumer(body)
        except Exception:
            log.exception(f"A message of {len(body)} bytes from the queue {queue} is of no use and is dropped")
        channel.basic_ack(delivery.delivery_tag)

    return consume

"""What the exchanges and queues of a sandbox are called, and how Compute tells its clients of them.

Compute makes every exchange and queue itself; endpoints and the SDK look for them passively and fail when they are
missing. All names begin with a prefix of the sandbox, so that many share a broker.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

# A queue that nobody used for a day goes by itself: it belonged to a sandbox that was killed.
_QUEUE_ARGUMENTS = {"x-expires": 24 * 3600 * 1000}
PERSISTENT = 2


class Names:
    """The names of one sandbox on one broker.

    :param prefix: what they begin with.
    :param url: the broker's AMQP URL, user and password included; clients are given it as it is.
    """

    def __init__(self, prefix: str, url: str) -> None:
        self._prefix = prefix
        self._url = url
        self.tasks_exchange = f"{prefix}.tasks"
        self.results_exchange = f"{prefix}.results"
        self.heartbeats_exchange = f"{prefix}.heartbeats"
        self.results_queue = f"{prefix}.results"
        self.heartbeats_queue = f"{prefix}.heartbeats"
        #: The SDK appends the id of a task group.
        self.group_prefix = f"{prefix}.group."

    def commands_queue(self, endpoint_id: str) -> str:
        """Return where an endpoint is told to start user endpoints."""
        return f"{self._prefix}.{endpoint_id}.commands"

    def tasks_queue(self, user_endpoint_id: str) -> str:
        """Return where a user endpoint takes its tasks from."""
        return f"{self._prefix}.{user_endpoint_id}.tasks"

    def group_queue(self, group_id: str) -> str:
        """Return where the SDK takes the results of a task group from."""
        return f"{self.group_prefix}{group_id}"

    def result_connection(self) -> dict[str, Any]:
        """Return what ``GET /v2/get_amqp_result_connection_url`` answers."""
        return {"queue_prefix": self.group_prefix, "connection_url": self._url}

    def registration(self, endpoint_id: str) -> dict[str, Any]:
        """Return what an endpoint that registers is answered."""
        return {
            "endpoint_id": endpoint_id,
            # By the broker's default exchange, which has no name.
            "command_queue_info": {
                "connection_url": self._url,
                "exchange": "",
                "queue": self.commands_queue(endpoint_id),
            },
            "result_queue_info": self._publishing(self.results_exchange, self.results_queue, endpoint_id),
            "heartbeat_queue_info": self._publishing(self.heartbeats_exchange, self.heartbeats_queue, endpoint_id),
            "warnings": [],
        }

    def user_endpoint_credentials(self, user_endpoint_id: str) -> dict[str, Any]:
        """Return what a user endpoint is started with."""
        return {
            "endpoint_id": user_endpoint_id,
            "task_queue_info": {
                "connection_url": self._url,
                "exchange": self.tasks_exchange,
                "queue": self.tasks_queue(user_endpoint_id),
            },
            "result_queue_info": self._publishing(self.results_exchange, self.results_queue, user_endpoint_id),
            "heartbeat_queue_info": self._publishing(self.heartbeats_exchange, self.heartbeats_queue, user_endpoint_id),
        }

    def _publishing(self, exchange: str, queue: str, publisher_id: str) -> dict[str, Any]:
        return {
            "connection_url": self._url,
            "exchange": exchange,
            "queue": queue,
            "queue_publish_kwargs": {
                "exchange": exchange,
                "routing_key": f"{publisher_id}.{exchange.rpartition('.')[2]}",
                "mandatory": True,
                "properties": {"delivery_mode": PERSISTENT},
            },
        }

    # What is done with a channel (see `amqp_link.Channel`)

    def declare(self, channel: Any) -> None:
        """Make what every sandbox needs."""
        channel.exchange_declare(self.tasks_exchange, "direct", durable=True)
        for exchange, queue in (
            (self.results_exchange, self.results_queue),
            (self.heartbeats_exchange, self.heartbeats_queue),
        ):
            channel.exchange_declare(exchange, "topic", durable=True)
            self.declare_queue(channel, queue)
            channel.queue_bind(queue, exchange, f"*.{exchange.rpartition('.')[2]}")

    def declare_tasks_queue(self, channel: Any, user_endpoint_id: str) -> None:
        """Make the queue of a user endpoint."""
        queue = self.tasks_queue(user_endpoint_id)
        self.declare_queue(channel, queue)
        channel.queue_bind(queue, self.tasks_exchange, queue)

    @staticmethod
    def declare_queue(channel: Any, queue: str) -> None:
        """Make a queue that survives a restart of the broker."""
        channel.queue_declare(queue, durable=True, arguments=_QUEUE_ARGUMENTS)

    def remove(self, channel: Any, queues: list[str]) -> None:
        """Remove the given queues, and what `declare` made."""
        for queue in (*queues, self.results_queue, self.heartbeats_queue):
            channel.queue_delete(queue)
        for exchange in (self.tasks_exchange, self.results_exchange, self.heartbeats_exchange):
            channel.exchange_delete(exchange)


def password_of(url: str) -> str | None:
    """Return the password in an AMQP URL, for the journal to mask."""
    return urlsplit(url).password

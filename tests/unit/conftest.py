"""What an operator's execute() gets from Airflow, without Airflow's processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from globus_sdk.transport import RequestsTransport, RetryConfig, RetryContext

from airflow_provider_globus.compute.registry import FunctionRegistry
from airflow_provider_globus.hooks.credentials import forget_credentials


class StateStore:
    """Airflow's task state store: JSON by key, kept over tries."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if value is None:
            raise ValueError("Cannot set value as None")
        if json.loads(json.dumps(value)) != value:
            raise TypeError(f"Airflow takes JSON only, not {value!r}")
        self.values[key] = value


@dataclass
class TaskInstance:
    """As much of a task instance as operators use."""

    dag_id: str = "a_dag"
    task_id: str = "a_task"
    run_id: str = "a_run"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 2
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key)

    def retry(self) -> None:
        """Airflow starts the next try."""
        self.try_number += 1
        self.xcoms.clear()

    def clear(self) -> None:
        """A user clears the task, which raises max_tries."""
        self.max_tries = self.try_number + self.max_tries
        self.retry()


@dataclass
class Attempt(dict[str, Any]):
    """The context of one task instance, over all its tries."""

    ti: TaskInstance = field(default_factory=TaskInstance)
    store: StateStore = field(default_factory=StateStore)

    def __post_init__(self) -> None:
        super().__init__(ti=self.ti, task_state_store=self.store)


#: Airflow types its context as a TypedDict, which ours is not.
TaskContext = Any


@pytest.fixture(autouse=True)
def _fresh_tokens() -> Iterator[None]:
    """Tokens are shared within a process; a test must not live on those of another."""
    forget_credentials()
    yield
    forget_credentials()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK pauses a hundredth of its time after an error; when Globus asks to slow down, as long as ever."""
    pause = RequestsTransport._retry_sleep

    def shorter(self: RequestsTransport, config: RetryConfig, context: RetryContext) -> None:
        if context.response is None or context.response.status_code != 429:
            config = replace(config, max_sleep=config.backoff(context) / 100)
        pause(self, config, context)

    monkeypatch.setattr(RequestsTransport, "_retry_sleep", shorter)


@pytest.fixture(autouse=True)
def _new_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that another test's sandbox knew are unknown to this one."""
    monkeypatch.setattr(FunctionRegistry, "_known", {})


@pytest.fixture
def context() -> TaskContext:
    return Attempt()

"""A laboratory for Transfer tests: a sandbox, folders as collections, and the real SDK as client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import ClientApp, GlobusAppConfig, TransferAPIError, TransferClient, TransferData
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.server import GlobusSandbox
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Task
    from airflow_provider_globus.sandbox.world import World

PATIENCE_SECONDS = 20.0


@dataclass
class Lab:
    """What tests of the Transfer service work with."""

    sandbox: GlobusSandbox
    folder: Path
    _clients: dict[str, TransferClient] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.sandbox.world

    def collection(self, name: str, files: Mapping[str, bytes] | None = None, **more: Any) -> Collection:
        """Make a collection on a folder of its own; a name that ends in `/` is an empty directory."""
        root = self.folder / name
        root.mkdir()
        for path, data in (files or {}).items():
            place = root / path
            if path.endswith("/"):
                place.mkdir(parents=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return self.sandbox.add_collection(name, root, **more)

    def client(self, *, of: Client | None = None, consent: bool = True) -> TransferClient:
        """Return an SDK client; with `consent`, to every mapped collection there is now."""
        who = of.id if of else self.sandbox.client_id
        secret = of.secret if of else self.sandbox.client_secret
        app = ClientApp(client_id=who, client_secret=secret or "", config=GlobusAppConfig(token_storage="memory"))
        client = TransferClient(app=app, retry_config=RetryConfig(max_retries=0), base_url=self.sandbox.url)
        mapped = [c.id for c in self.world.transfer.collections.values() if c.needs_data_access]
        if consent and mapped:
            client.add_app_data_access_scope(mapped)
        return client

    def submit(
        self,
        source: Collection,
        destination: Collection,
        *items: tuple[Any, ...],
        client: TransferClient | None = None,
        **options: Any,
    ) -> str:
        """Submit a transfer of (source path, destination path[, recursive]) and return the task id."""
        data = TransferData(source.id, destination.id, **options)
        for path, target, *recursive in items:
            data.add_item(path, target, **({"recursive": recursive[0]} if recursive else {}))
        return str((client or self.client()).submit_transfer(data)["task_id"])

    def move(self, source: Collection, destination: Collection, *items: tuple[Any, ...], **options: Any) -> Task:
        """Submit a transfer and wait for its end."""
        return self.wait(self.submit(source, destination, *items, **options))

    def wait(self, task_id: str) -> Task:
        return self.world.transfer.wait(task_id, PATIENCE_SECONDS)

    def until(self, task_id: str, check: Callable[[Task], bool]) -> Task:
        """Look at a task until it is as expected."""
        task = self.world.transfer.task(task_id)
        end = monotonic() + PATIENCE_SECONDS
        while not check(task):
            with self.world.transfer.engine.changed:
                self.world.transfer.engine.changed.wait(0.01)
            assert monotonic() < end, f"{task.status} {task.phase} {task.nice_status} {task.nice_details}"
        return task

    def faulting(self, task_id: str, code: str) -> Task:
        """Wait until a task suffers from a fault and rests."""
        return self.until(task_id, lambda task: task.nice_status == code and task.phase.name == "RETRYING")

    def tree(self, collection: Collection) -> dict[str, bytes | None]:
        """Return the files (and, as None, the empty directories) of a local collection."""
        root = Path(collection.root)
        return {
            str(item.relative_to(root)): item.read_bytes() if item.is_file() else None
            for item in root.rglob("*")
            if item.is_file() or not any(item.iterdir())
        }


@pytest.fixture
def lab(sandbox_as_new: GlobusSandbox, tmp_path: Path) -> Lab:
    """A laboratory without tasks, collections or endpoints."""
    return Lab(sandbox_as_new, tmp_path)


@pytest.fixture
def refused() -> Callable[[Callable[[], object]], TransferAPIError]:
    """Return the error of a call that must be refused."""

    def call(act: Callable[[], object]) -> TransferAPIError:
        with pytest.raises(TransferAPIError) as error:
            act()
        return error.value

    return call

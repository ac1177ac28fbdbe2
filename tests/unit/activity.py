"""A collection that other identities use: what tests of activity share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from globus_sdk import ClientApp, DeleteData, GlobusAppConfig, TransferClient, TransferData

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFolder
    from airflow_provider_globus.sandbox.transfer.tasks import Task


@dataclass
class Users:
    """People who move files between two collections that the connection's identity manages."""

    sandbox: GlobusSandbox
    source: CollectionFolder
    target: CollectionFolder
    _clients: dict[str, tuple[Client, TransferClient]] = field(default_factory=dict)

    def who(self, name: str) -> Client:
        """An identity, made when first named."""
        return self._known(name)[0]

    def client(self, name: str) -> TransferClient:
        return self._known(name)[1]

    def _known(self, name: str) -> tuple[Client, TransferClient]:
        if name not in self._clients:
            one = self.sandbox.add_client(name)
            app = ClientApp(
                client_id=one.id, client_secret=one.secret or "", config=GlobusAppConfig(token_storage="memory")
            )
            client = TransferClient(app=app, base_url=self.sandbox.url)
            client.add_app_data_access_scope([self.source.id, self.target.id])
            self._clients[name] = one, client
        return self._clients[name]

    def submit(self, name: str, path: str = "/a", *, back: bool = False, to: str | None = None, **options: Any) -> Task:
        """Somebody copies a file to the target, or back to the source."""
        ways = (self.target.id, self.source.id) if back else (self.source.id, self.target.id)
        data = TransferData(*ways, **options)
        data.add_item(path, to or f"/copy-{len(self.sandbox.world.transfer.tasks)}")
        task_id = self.client(name).submit_transfer(data)["task_id"]
        return self.sandbox.world.transfer.task(task_id)

    def move(self, name: str, path: str = "/a", **options: Any) -> Task:
        """The same, and wait for the end."""
        return self.sandbox.world.transfer.wait(self.submit(name, path, **options).id)

    def delete(self, name: str, path: str) -> Task:
        """Somebody deletes a file of the target."""
        data = DeleteData(endpoint=self.target.id)
        data.add_item(path)
        task_id = self.client(name).submit_delete(data)["task_id"]
        return self.sandbox.world.transfer.wait(task_id)

    def hold(self) -> None:
        """Let nothing move from now on."""
        self.sandbox.world.transfer.hold()

    def trouble(self, task: Task, code: str, faults: int) -> Task:
        """Let a held task suffer."""
        task.nice_status, task.nice_details, task.faults = code, f"{code} at /data", faults
        return task

"""Transfer in every state that its documents tell of, for the tests that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from globus_sdk import ClientApp, DeleteData, GlobusAppConfig, TransferClient, TransferData
from globus_sdk.experimental import TransferClientV2
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client
    from airflow_provider_globus.sandbox.transfer.collections import Collection

UNKNOWN = "00000000-0000-4000-8000-000000000000"
PATIENCE_SECONDS = 20.0


class Site:
    """Collections with files, by their owner and by somebody else."""

    def __init__(self, sandbox: GlobusSandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.state = sandbox.world.transfer
        self.stranger = sandbox.add_client("stranger")
        self.laptop = self._collection(folder / "laptop", "Laptop", kind="personal")
        self.archive = self._collection(folder / "archive", "Archive", kind="personal")
        self.tc = self.client(TransferClient)
        self.v2 = self.client(TransferClientV2)
        self.other = self.client(TransferClient, self.stranger)

    def client(self, kind: Any, of: Client | None = None) -> Any:
        """A client of the SDK for the sandbox's service account, or for another."""
        who = (of.id, of.secret or "") if of else (self.sandbox.client_id, self.sandbox.client_secret)
        app = ClientApp(client_id=who[0], client_secret=who[1], config=GlobusAppConfig(token_storage="memory"))
        return kind(app=app, retry_config=RetryConfig(max_retries=0), base_url=self.sandbox.url)

    def _collection(self, folder: Path, name: str, **more: Any) -> Collection:
        (folder / "share" / "godata").mkdir(parents=True)
        (folder / "share" / "godata" / "file1.txt").write_text("one\n")
        return self.sandbox.add_collection(name, folder, **more)

    def mapped(self) -> Collection:
        """A collection of Connect Server."""
        return self.sandbox.add_collection("Mapped", f"{self.laptop.root}/share")

    # Tasks

    def transfer(self, *items: tuple[str, str], tc: TransferClient | None = None, **more: Any) -> Any:
        """Submit a transfer from the laptop to the archive."""
        data = TransferData(self.laptop.id, self.archive.id, **more)
        for source, destination in items or [("/share/godata/file1.txt", "/file1.txt")]:
            data.add_item(source, destination)
        return (tc or self.tc).submit_transfer(data)

    def delete(self, path: str = "/share/godata/file1.txt", tc: TransferClient | None = None, **more: Any) -> Any:
        """Submit the deletion of something on the archive."""
        data = DeleteData(self.archive.id, **more)
        data.add_item(path)
        return (tc or self.tc).submit_delete(data)

    def done(self, submitted: Any) -> str:
        """Wait for the end of a task; return its id."""
        return self.state.wait(submitted["task_id"], PATIENCE_SECONDS).id

    def faulting(self, task_id: str) -> None:
        """Wait until a task has met an error."""
        task = self.state.task(task_id)
        with self.state.engine.changed:
            assert self.state.engine.changed.wait_for(lambda: task.faults, PATIENCE_SECONDS)

    def transferred(self, **more: Any) -> str:
        """A task that has ended."""
        return self.done(self.transfer(**more))

    def active(self, tc: TransferClient | None = None) -> str:
        """A task that goes on."""
        self.state.hold()
        return str(self.transfer(tc=tc)["task_id"])

    def theirs(self) -> str:
        """A task of somebody else between collections of mine."""
        for collection in (self.laptop, self.archive):
            guest = self.guest(collection)
            self.tc.add_endpoint_acl_rule(guest, rule("all_authenticated_users", "", "rw"))
        self.state.hold()
        guests = [item.id for item in self.state.collections.values() if item.kind == "guest"]
        data = TransferData(*guests)
        data.add_item("/godata/file1.txt", "/new.txt")
        return str(self.other.submit_transfer(data)["task_id"])

    # Sharing

    def guest(self, host: Collection | None = None, **more: Any) -> str:
        """A folder of a laptop as a guest collection."""
        document = {
            "DATA_TYPE": "shared_endpoint",
            "host_endpoint": (host or self.laptop).id,
            "host_path": "/share/",
            "display_name": "Shared",
            **more,
        }
        return str(self.tc.create_shared_endpoint(document)["id"])

    def ruled(self) -> tuple[str, str]:
        """A guest collection and a rule on it."""
        guest = self.guest()
        return guest, str(self.tc.add_endpoint_acl_rule(guest, rule("identity", self.stranger.id))["access_id"])

    def roled(self) -> tuple[str, str]:
        """A collection and a role on it."""
        role = {"principal_type": "identity", "principal": self.stranger.id, "role": "access_manager"}
        return self.laptop.id, str(self.tc.add_endpoint_role(self.laptop.id, role)["id"])

    def paused(self, collection: str | None = None) -> str:
        """A pause rule, on the laptop unless told otherwise."""
        return str(self.tc.endpoint_manager_create_pause_rule(pause(collection or self.laptop.id))["id"])

    # Subscriptions and bookmarks

    def subscribe(self, role: str = "admins", **more: Any) -> str:
        """Put the laptop under a new subscription, in which I have a role; return its id."""
        made = self.subscription(role, **more)
        self.tc.set_subscription_id(self.laptop.id, made)
        return made

    def subscription(self, role: str = "admins", **more: Any) -> str:
        subscription_id = self.sandbox.world.new_id()
        people: dict[str, Any] = {"admins": [self.stranger.id], role: [self.sandbox.client_id]}
        self.sandbox.add_group("Subscribers", **people, subscription={"id": subscription_id, **more})
        return subscription_id

    def bookmark(self, name: str = "public datasets") -> str:
        document = {"name": name, "endpoint_id": self.laptop.id, "path": "/share/"}
        return str(self.tc.create_bookmark(document)["id"])


def rule(kind: str, principal: str, permissions: str = "r") -> dict[str, Any]:
    """An access rule for all of a collection."""
    return {
        "DATA_TYPE": "access",
        "principal_type": kind,
        "principal": principal,
        "path": "/",
        "permissions": permissions,
    }


def pause(collection_id: str) -> dict[str, Any]:
    """A pause rule for everybody, from now on."""
    return {
        "DATA_TYPE": "pause_rule",
        "message": "SDK Test Pause Rule",
        "endpoint_id": collection_id,
        "identity_id": None,
        "start_time": None,
    }

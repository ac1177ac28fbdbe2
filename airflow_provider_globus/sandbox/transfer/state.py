"""The memory of the Transfer service: collections, who may use them, and the tasks that move their files."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.storage import StorageError, open_storage
from airflow_provider_globus.sandbox.storage.paths import clean
from airflow_provider_globus.sandbox.transfer.access import in_force, parse_role, parse_rule
from airflow_provider_globus.sandbox.transfer.bookmarks import Bookmarks
from airflow_provider_globus.sandbox.transfer.collections import AccessRule, Collection, Kind, Role
from airflow_provider_globus.sandbox.transfer.documents import event_document, managed_task_document, task_summary
from airflow_provider_globus.sandbox.transfer.engine import Engine
from airflow_provider_globus.sandbox.transfer.errors import (
    bad_request,
    consent_required,
    endpoint_deleted,
    endpoint_not_found,
    permission_denied,
    task_not_found,
)
from airflow_provider_globus.sandbox.transfer.listings import Listings
from airflow_provider_globus.sandbox.transfer.pause_rules import PauseRules
from airflow_provider_globus.sandbox.transfer.stepping import first_steps
from airflow_provider_globus.sandbox.transfer.tasks import Task

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.storage import Storage
    from airflow_provider_globus.sandbox.transfer.tasks import Spec
    from airflow_provider_globus.sandbox.world import World


__all__ = ["ENDPOINT_ID", "Collection", "Task", "TransferState"]


class TransferState:
    """Collections and tasks of one sandbox; safe to use from any thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        owner_id, username = self._owner(None)
        # The Connect Server endpoint that mapped collections belong to.
        self.endpoint = Collection(ENDPOINT_ID, "Globus sandbox endpoint", "endpoint", owner_id, username)
        self.collections: dict[str, Collection] = {ENDPOINT_ID: self.endpoint}
        self.tasks: dict[str, Task] = {}
        self.admin_cancels: dict[str, tuple[str, list[Task]]] = {}
        self._by_owner: dict[str, dict[str, Task]] = {}
        self._submissions: dict[str, Task] = {}
        self._recent: dict[str, dict[str, None]] = {}
        self._deleted: set[str] = set()
        self.bookmarks = Bookmarks(world.new_id)
        self.pause_rules = PauseRules()
        self.listings = Listings(world.clock)
        self.engine: Engine = Engine(world, self._may, self.pause_rules)
        self.mark()

    # Collections

    def add_collection(
        self,
        name: str,
        root: str | os.PathLike[str] | None = None,
        *,
        kind: Kind = "mapped",
        host: Collection | str | None = None,
        base_path: str = "/",
        alias: str | None = None,
        s3_endpoint_url: str | None = None,
        s3_access_key_id: str | None = None,
        s3_secret_access_key: str | None = None,
        high_assurance: bool = False,
        owner: str | None = None,
        writable: bool = True,
        public: bool = True,
        default_directory: str = "/",
        id: str | None = None,
    ) -> Collection:
        """Add a collection.

        :param root: the folder or ``s3://bucket/prefix`` its files are in; a guest collection takes none, it shows
            `base_path` of its `host`.
        :param kind: ``mapped`` (Connect Server), ``guest`` (shared from a mapped one) or ``personal``.
        :param owner: identity id or username of the owner; the default client when not given.
        """
        if kind not in ("mapped", "guest", "personal"):
            raise ValueError(f"A collection is mapped, guest or personal, not {kind!r}")
        if (kind == "guest") != (host is not None) or (kind == "guest") == bool(root):
            raise ValueError("A guest collection needs a host and no root; others need a root and no host")
        owner_id, username = self._owner(owner)
        collection = Collection(
            id=str(uuid.UUID(id)) if id else self._world.new_id(),
            name=name,
            kind=kind,
            owner_id=owner_id,
            owner_username=username,
            base_path=clean(base_path),
            alias=alias,
            high_assurance=high_assurance,
            writable=writable,
            public=public,
            default_directory=default_directory,
            created=self._world.clock.time(),
        )
        if host is not None:
            collection.host = host if isinstance(host, Collection) else self.find(host)
            if collection.host.kind not in ("mapped", "personal"):
                raise ValueError(
                    f"The host of a guest collection is a mapped or personal one; {collection.host.name} is not"
                )
            self.files(collection.host, owner_id).make_parents(collection.base_path)
            collection.root = f"{collection.host.root.rstrip('/')}{collection.base_path}"
            if collection.is_personal:
                collection.storage = self.below(collection.host, collection.base_path)
            else:
                # Who sets up a sandbox need not ask first; a guest collection is reached only where such are allowed.
                collection.host.policy.setdefault("allow_guest_collections", True)
            return self.keep(collection)
        collection.root = str(root)
        collection.storage = open_storage(
            collection.root,
            s3_endpoint_url=s3_endpoint_url,
            s3_access_key_id=s3_access_key_id,
            s3_secret_access_key=s3_secret_access_key,
        )
        if kind == "mapped":
            self._world.connect_server.give_gateway(collection, s3_endpoint_url)
        return self.keep(collection)

    def set_up(self, setup_key: str, root: str | os.PathLike[str]) -> Collection:
        """Do what Globus Connect Personal does on a computer that is given a setup key: a folder gets online."""
        collection = next((item for item in self.collections.values() if item.setup_key == setup_key), None)
        if collection is None:
            raise ValueError("No collection waits for this setup key")
        collection.root, collection.storage = str(root), open_storage(str(root))
        collection.connected, collection.setup_key = True, None
        return collection

    def below(self, collection: Collection, path: str) -> Storage:
        """Return the files of a personal collection from a folder on.

        :raises StorageError: it is not connected, or has no such folder.
        """
        if collection.storage is None or not collection.online:
            raise StorageError("GC_NOT_CONNECTED", "Globus Connect Personal is not connected", path)
        return collection.storage if path == "/" else collection.storage.below(path)

    def files(self, collection: Collection, identity_id: str) -> Storage:
        """Return the files of a collection as an identity reaches them.

        :raises StorageError: the storage does not let it in.
        """
        if collection.storage is not None:
            return collection.storage
        return self._world.connect_server.files(collection, identity_id)

    def keep(self, collection: Collection) -> Collection:
        """Add a collection that is made already."""
        with self._lock:
            if collection.id in self.collections:
                raise ValueError(f"There already is a collection {collection.id}")
            names = {item.alias for item in self.collections.values() if item.alias}
            if collection.alias in names:
                raise ValueError(f"There already is a collection with the alias {collection.alias!r}")
            if collection.kind == "mapped":
                collection.host = self.endpoint
            self.collections[collection.id] = collection
        return collection

    def _owner(self, owner: str | None) -> tuple[str, str]:
        from airflow_provider_globus.sandbox.auth.state import DEFAULT_CLIENT_ID

        auth = self._world.auth
        identity = auth.identity(owner or DEFAULT_CLIENT_ID) or auth.identity_by_username(owner or "")
        if identity is None:
            raise ValueError(f"There is no identity {owner!r}; add it first")
        return identity.id, identity.username

    def find(self, reference: str) -> Collection:
        """Return a collection by id, alias or a name that only one has; for people who set up a sandbox."""
        found = self.collections.get(reference)
        if found is not None:
            return found
        matches = [item for item in self.collections.values() if item.alias == reference] or [
            item for item in self.collections.values() if item.name == reference
        ]
        if len(matches) != 1:
            raise ValueError(f"{len(matches)} collections are called {reference!r}")
        return matches[0]

    def collection(self, collection_id: str) -> Collection:
        """Return a collection by its id, or refuse as the service does."""
        try:
            known = str(uuid.UUID(collection_id))
            return self.collections[known]
        except ValueError:
            raise endpoint_not_found(collection_id) from None
        except KeyError:
            gone = known in self._deleted
            raise (endpoint_deleted if gone else endpoint_not_found)(collection_id) from None

    def remove_collection(self, collection: Collection) -> None:
        """Forget a collection; its files stay."""
        with self._lock:
            self.collections.pop(collection.id, None)
            self._deleted.add(collection.id)

    def data_access_scope_allowed(self, collection_id: str) -> bool:
        """Tell Auth whether a collection has a `data_access` scope."""
        found = self.collections.get(collection_id)
        return found is not None and found.needs_data_access

    # Who may

    def require_access(self, caller: Caller, *collections: Collection) -> None:
        """Refuse a caller who may not use collections at all: no consent, or someone else's computer."""
        for collection in collections:
            if collection.kind == "endpoint":
                raise bad_request(
                    f"'{collection.name}' is a Globus Connect Server endpoint; use one of its collections",
                    "ClientError.BadRequest.NotACollection",
                )
            if collection.kind == "personal" and not collection.has_role(caller.identity_id, ("administrator",)):
                raise permission_denied(f"You do not have access to '{collection.name}'")
        missing = [c.id for c in collections if c.needs_data_access and not caller.has_data_access(c.id)]
        if missing and self._world.settings.enforce_consents:
            raise consent_required(dict.fromkeys(missing))
        for collection in collections:
            self._world.connect_server.require_session(caller, collection)

    def permissions(self, identity_id: str, collection: Collection, path: str) -> str:
        """Return `rw`, `r` or nothing: what an identity may do at a path."""
        groups = self._world.groups.groups_of(identity_id)
        granted = collection.permissions_of(identity_id, groups, path, self._world.clock.time())
        if not granted or collection.mapped is None:
            return granted
        return self._world.connect_server.restricted(granted, collection, identity_id, path)

    def _may(self, task: Task, collection: Collection, path: str) -> str:
        return self.permissions(task.owner_id, collection, path)

    def add_rule(
        self,
        collection: Collection | str,
        *,
        path: str,
        principal_type: str = "identity",
        principal: str = "",
        permissions: str = "r",
        expiration_date: str | None = None,
    ) -> AccessRule:
        """Share a folder of a guest collection, as `POST /endpoint/<id>/access` does."""
        target = collection if isinstance(collection, Collection) else self.find(collection)
        if target.kind != "guest":
            raise ValueError(f"Access rules need a guest collection; {target.name!r} is {target.kind}")
        document = {
            "principal_type": principal_type,
            "principal": principal,
            "path": path if path.endswith("/") else path + "/",
            "permissions": permissions,
            "expiration_date": expiration_date,
        }
        try:
            rule = in_force(
                parse_rule(document, self._world.new_id(), self._world.clock.time()), target, self._world.clock.time()
            )
        except ServiceError as error:
            raise ValueError(error.message) from None
        target.rules[rule.id] = rule
        return rule

    def add_role(self, collection: Collection | str, role: str, principal: str) -> Role:
        """Give an identity a role on a collection, as `POST /endpoint/<id>/role` does."""
        target = collection if isinstance(collection, Collection) else self.find(collection)
        document = {"principal_type": "identity", "principal": principal, "role": role}
        try:
            given = parse_role(document, self._world.new_id())
        except ServiceError as error:
            raise ValueError(error.message) from None
        target.roles[given.id] = given
        return given

    def used(self, identity_id: str, collection: Collection) -> None:
        """Remember that someone used a collection, for `recently-used` searches."""
        with self._lock:
            recent = self._recent.setdefault(identity_id, {})
            recent.pop(collection.id, None)
            recent[collection.id] = None

    def recently_used(self, identity_id: str) -> list[str]:
        """Return the ids of the collections an identity used, the last one first."""
        with self._lock:
            return list(reversed(self._recent.get(identity_id, {})))

    # Tasks

    def submitted(self, identity_id: str, submission_id: str) -> Task | None:
        """Return the task that an identity already got for a submission id."""
        task = self._submissions.get(submission_id)
        if task is not None and task.owner_id != identity_id:
            raise bad_request(f"Invalid submission_id '{submission_id}'")
        return task

    def submit(self, caller: Caller, spec: Spec) -> tuple[Task, bool]:
        """Accept a submission; returns its task and whether it is new."""
        now = self._world.clock.time()
        with self._lock:
            known = self.submitted(caller.identity_id, spec.submission_id)
            if known is not None:
                return known, False
            self._check_limits(caller, spec)
            task = Task(
                id=self._world.new_id(),
                owner_id=caller.identity_id,
                username=caller.username,
                spec=spec,
                request_time=now,
                deadline=spec.deadline or now + self._world.settings.default_deadline_seconds,
                deadline_chosen=spec.deadline is not None,
                interrupt=self._world.clock.event(),
                label=spec.label,
                scans=first_steps(spec.items),
            )
            self.tasks[task.id] = task
            self._by_owner.setdefault(task.owner_id, {})[task.id] = task
            self._submissions[spec.submission_id] = task
        for collection in (spec.source, spec.destination):
            if collection is not None:
                self.used(caller.identity_id, collection)
        self.listings.forget()
        self.engine.submit(task)
        return task, True

    def _check_limits(self, caller: Caller, spec: Spec) -> None:
        mine = [task for task in self.engine.unfinished() if task.owner_id == caller.identity_id]
        if any(task.spec.paths == spec.paths for task in mine):
            raise ServiceError(409, "Conflict", f"A {spec.type.lower()} with identical paths has not yet completed")
        limit = self._world.settings.pending_tasks_per_identity
        if len(mine) >= limit:
            raise ServiceError(
                409,
                "ClientError.Conflict.TooManyPendingJobs",
                f"You already have {limit} pending tasks; wait until some have completed",
            )

    def task(self, task_id: str, owner_id: str | None = None) -> Task:
        """Return a task by its id; given an owner, only one of theirs."""
        found = self.tasks.get(task_id)
        if found is None or owner_id not in (None, found.owner_id):
            raise task_not_found(task_id)
        return found

    def tasks_of(self, owner_id: str, ids: Iterable[str] | None = None) -> list[Task]:
        """Return the tasks of an identity (those of the given ids), the latest first."""
        with self._lock:
            mine = self._by_owner.get(owner_id, {})
            if ids is None:
                return list(reversed(mine.values()))
            found = [mine[task_id] for task_id in ids if task_id in mine]
        return sorted(found, key=lambda task: task.request_time, reverse=True)

    def task_document(self, task_id: str) -> dict[str, Any] | None:
        """Return a task as managers see it, for the sandbox's own pages."""
        task = self.tasks.get(task_id)
        return managed_task_document(task, self._world.clock.time()) if task is not None else None

    def task_events(self, task_id: str) -> list[dict[str, Any]]:
        """Return the events of a task, newest first."""
        return [event_document(event) for event in reversed(self.task(task_id).events)]

    # For tests and the control plane

    def hold(self, task_id: str | None = None) -> None:
        """Keep tasks ACTIVE without moving anything, until `release`."""
        if task_id is None:
            self.engine.hold()
        else:
            self.engine.stop(self.task(task_id), "hold")

    def release(self, task_id: str | None = None) -> None:
        """Let held tasks go on."""
        if task_id is None:
            self.engine.release()
        else:
            self.engine.resume(self.task(task_id), "hold")

    def activate(self, task_id: str) -> None:
        """Do what renewed credentials or a given consent do for an INACTIVE task."""
        self.engine.resume(self.task(task_id), "inactive")

    def wait(self, task_id: str, timeout: float = 10.0) -> Task:
        """Wait, in real seconds, until a task has ended."""
        task = self.task(task_id)
        with self.engine.changed:
            if not self.engine.changed.wait_for(lambda: task.done, timeout):
                raise TimeoutError(f"Task {task_id} is still {task.status} ({task.nice_status})")
        return task

    # As every state of the world

    def mark(self) -> None:
        """Remember collections, rules, roles and bookmarks as what `reset` goes back to."""
        self.bookmarks.mark()
        with self._lock:
            self._deleted_before = set(self._deleted)
            self._base = [(item, _copy(item)) for item in self.collections.values()]

    def reset(self) -> None:
        """Go back to the marked collections; tasks end and are forgotten, files stay as they are."""
        self.engine.reset()
        self.listings.forget()
        with self._lock:
            for current, kept in self._base:
                current.__dict__.update(_copy(kept).__dict__)  # who holds a collection goes on holding it
            self.collections = {current.id: current for current, _ in self._base}
            self._world.connect_server.changed()
            self.tasks, self._by_owner, self._submissions, self._recent = {}, {}, {}, {}
            self.admin_cancels = {}
            self._deleted = set(self._deleted_before)
            self.bookmarks.reset()
            self.pause_rules.clear()

    def snapshot(self) -> dict[str, Any]:
        """Return collections and tasks in a few words."""
        with self._lock:
            return {
                "collections": [
                    {
                        "id": item.id,
                        "name": item.name,
                        "alias": item.alias,
                        "kind": item.kind,
                        "entity_type": item.entity_type,
                        "root": item.root,
                        "owner": item.owner_username,
                        "access_rules": len(item.rules),
                    }
                    for item in self.collections.values()
                ],
                "tasks": [task_summary(task) for task in self.tasks.values()],
                "bookmarks": self.bookmarks.snapshot(),
            }

    def close(self) -> None:
        """End the engine and all connections."""
        self.engine.close()
        for collection in list(self.collections.values()):
            if collection.storage is not None:
                collection.storage.close()


def _copy(collection: Collection) -> Collection:
    return replace(
        collection,
        policy=dict(collection.policy),
        details=dict(collection.details),
        rules=dict(collection.rules),
        roles=dict(collection.roles),
    )

"""File operations that answer at once: ls, stat, mkdir, rename."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server.login import session_denied
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.storage import Entry, StorageError
from airflow_provider_globus.sandbox.storage.paths import is_within
from airflow_provider_globus.sandbox.transfer.documents import file_document, result
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied
from airflow_provider_globus.sandbox.transfer.filters import (
    FieldType,
    compile_clauses,
    flag,
    order,
    page_bounds,
    parse_clauses,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.storage import Storage
    from airflow_provider_globus.sandbox.transfer.collections import Collection

LISTING_LIMIT = 100_000

_FILTER_TYPES: dict[str, FieldType] = {
    "name": "text",
    "type": "word",
    "size": "number",
    "last_modified": "time",
    "permissions": "text",
    "user": "text",
    "group": "text",
    "link_target": "text",
}
_FIELDS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: entry.name,
    "type": lambda entry: entry.kind,
    "size": lambda entry: entry.size,
    "last_modified": lambda entry: entry.modified,
    "permissions": lambda entry: entry.permissions,
    "user": lambda entry: entry.user,
    "group": lambda entry: entry.group,
    "link_target": lambda entry: entry.link.target if entry.link else None,
}

# Failures of the storage behind a collection, as `ExternalError.<operation>Failed.<this>`.
_EXTERNAL = {
    "NOT_A_DIRECTORY": "NotDirectory",
    "FILE_EXISTS": "Exists",
    "GC_NOT_CONNECTED": "GCDisconnected",
    "CONNECT_FAILED": "ConnectFailed",
    "CONNECTION_RESET": "ConnectFailed",
    "CONNECTION_BROKEN": "ConnectFailed",
    "TIMEOUT": "ConnectFailed",
    "AUTH": "LoginFailed",
    "NO_CREDENTIALS": "LoginFailed",
    "INVALID_SERVICE_CREDENTIAL": "LoginFailed",
    "GSI_DN_MISMATCH": "LoginFailed",
    "LIMIT_EXCEEDED": "SizeLimit",
}


# What a session may lack; the service names all of it, be it lacking or not.
_NOTHING_LACKS = {
    "session_required_identities": [],
    "session_required_mfa": False,
    "session_required_single_domain": [],
}
_LOG_IN_AGAIN = "Session reauthentication required (Globus Transfer)"

# What the service was about to do, as its messages call it.
_COMMANDS = {"DirListing": "list", "Stat": "list", "Mkdir": "mkdir", "Rename": "rename"}


def _refusal(operation: str, error: StorageError, collection: Collection) -> ServiceError:
    """Return the error a file operation answers when the storage fails it."""
    place = f"Endpoint: {collection.name} ({collection.id})\nServer: sandbox:443"
    where = f"Error ({_COMMANDS[operation]})\n{place}\nMessage: {error.message}\n---\nDetails: {error.path}\n"
    if error.login is not None:
        message = f"Command Failed: Error (login)\n{place}\nMessage: Login Failed\n---\nDetails: {error.login}\n"
        return ServiceError(502, f"ExternalError.{operation}Failed.LoginFailed", message)
    if error.code == "INVALID_PATH_NAME":
        return bad_request(f"Invalid path: {error.message}", "InvalidPath")
    if error.code == "NOT_SUPPORTED":
        return ServiceError(
            409, "NotSupported", f"{collection.name} does not support this operation", headers=PROVISIONAL
        )
    if error.code == "PERMISSION_DENIED":
        return permission_denied(f"Denied by endpoint, {where}", "EndpointPermissionDenied")
    if operation == "Stat" and error.code in ("FILE_NOT_FOUND", "NOT_A_DIRECTORY"):
        return ServiceError(404, "NotFound", f"Path not found, {where}")
    if error.code == "FILE_NOT_FOUND" and operation != "Mkdir":
        return ServiceError(404, "ClientError.NotFound", f"Path not found, {where}")
    detail = _EXTERNAL.get(error.code)
    if detail is None and error.code == "ENDPOINT_ERROR":
        return ServiceError(502, "EndpointError", f"Endpoint error, {where}")
    code = f"ExternalError.{operation}Failed" + (f".{detail}" if detail else "")
    return ServiceError(502, code, f"{error.message}, {where}")


def _of_the_login(error: ServiceError, operation: str, collection: Collection, identity_id: str) -> ServiceError:
    """Return the refusal of a session as operations have it: the storage's own, and what the session lacks."""
    wanted = error.extra.get("authorization_parameters")
    if wanted is None:
        return error
    said = session_denied(error.message, wanted, identity_id=identity_id, high_assurance=collection.high_assurance)
    refused = _refusal(operation, said, collection)
    refused.extra["authorization_parameters"] = {**_NOTHING_LACKS, **wanted, "session_message": _LOG_IN_AGAIN}
    return refused


class _Operation:
    """The collection and the checked paths of one operation."""

    def __init__(self, request: ServiceRequest, name: str) -> None:
        self.name = name
        self._request = request
        self.collection = request.world.transfer.collection(request.path_params["endpoint_id"])
        try:
            request.world.transfer.require_access(request.caller, self.collection)
        except ServiceError as error:
            raise _of_the_login(error, name, self.collection, request.caller.identity_id) from None
        if request.query.get("local_user") and self.collection.kind != "mapped":
            raise bad_request("local_user can only be used with mapped collections")
        state, me = request.world.transfer, request.caller.identity_id
        state.pause_rules.refuse(name, self.collection, me, request.world.clock.time())
        state.used(me, self.collection)

    def path(self, text: str, need: str) -> str:
        """Return a clean path the caller may read (`r`) or change (`w`)."""
        try:
            path = self.collection.clean(text)
        except StorageError as error:
            raise _refusal(self.name, error, self.collection) from None
        state, caller = self._request.world.transfer, self._request.caller
        if need not in state.permissions(caller.identity_id, self.collection, path):
            raise permission_denied(f"You do not have permission to access '{path}' on '{self.collection.name}'")
        self._injected(path)
        return path

    def _injected(self, path: str) -> None:
        if not self.collection.online:
            error = StorageError("GC_NOT_CONNECTED", "Globus Connect Personal is not connected", path)
            raise _refusal(self.name, error, self.collection)
        fault = self._request.world.faults.path_fault(self.collection, path)
        if fault is not None:
            raise _refusal(self.name, StorageError(fault.nice_status, fault.details, path), self.collection)

    def attempt(self, act: Callable[[Storage], Any]) -> Any:
        """Do something with the caller's storage, refusing in the service's words when it fails."""
        try:
            return act(self._request.world.transfer.files(self.collection, self._request.caller.identity_id))
        except StorageError as error:
            raise _refusal(self.name, error, self.collection) from None


def ls(request: ServiceRequest) -> Answer:
    """`GET /operation/endpoint/<id>/ls`."""
    operation = _Operation(request, "DirListing")
    query, collection = request.query, operation.collection
    limit, offset = page_bounds(query, default=LISTING_LIMIT, maximum=LISTING_LIMIT)
    asked = query.get("path") or collection.default_directory
    path = operation.path(query.get("path") or collection.home, "r")
    found = _listed(request, operation, path, offset, limit)
    page = found[offset : offset + limit]
    shown = path.rstrip("/") + "/"
    return Answer(
        {
            "DATA_TYPE": "file_list",
            "endpoint": collection.id,
            "path": _with_tilde(collection, asked, path),
            "absolute_path": shown,
            "rename_supported": operation.attempt(lambda files: files.supports_rename),
            "symlink_supported": operation.attempt(lambda files: files.supports_symlinks),
            "length": len(page),
            "total": len(found),
            "DATA": [file_document(entry, collection) for entry in page],
        }
    )


def _with_tilde(collection: Collection, asked: str, path: str) -> str:
    """Return the path of a listing: from the home directory on, where it was asked for so."""
    home = collection.home
    if asked.lstrip("/").partition("/")[0] != "~" or not is_within(path, home):
        return path.rstrip("/") + "/"
    return "/~/" + "".join(f"{part}/" for part in path.removeprefix(home).split("/") if part)


def _listed(request: ServiceRequest, operation: _Operation, path: str, offset: int, limit: int) -> list[Entry]:
    """Return all of a directory that the query asks for; the first page always shows the storage as it is."""
    query, state, collection = request.query, request.world.transfer, operation.collection
    keep = _filter(query.getlist("filter"), show_hidden=flag(query, "show_hidden", True))
    asked = tuple(sorted(pair for pair in query.multi_items() if pair[0] not in ("path", "limit", "offset")))
    key = (request.caller.identity_id, collection.id, path, asked)
    found = state.listings.find(key) if offset else None
    if found is None:
        # One more than allowed is enough to refuse: a bucket may hold millions.
        entries = operation.attempt(lambda files: list(islice(files.list(path), LISTING_LIMIT + 1)))
        if len(entries) > LISTING_LIMIT:
            error = StorageError("LIMIT_EXCEEDED", f"Directory limit of {LISTING_LIMIT} reached", path)
            raise _refusal(operation.name, error, collection)
        found = order([entry for entry in entries if keep(entry)], query.get("orderby") or "type,name", _FIELDS)
    if offset + limit >= len(found):
        state.listings.drop(key)
    elif not state.engine.unfinished():  # a task may change it before the next page
        state.listings.keep(key, found)
    return found


def _filter(texts: list[str], *, show_hidden: bool) -> Callable[[Entry], bool]:
    """Return the test of all `filter` parameters: one of them is enough."""
    alternatives = [compile_clauses(parse_clauses(text), _FILTER_TYPES) for text in texts if text]

    def keep(entry: Entry) -> bool:
        if not show_hidden and entry.name.startswith("."):
            return False
        return not alternatives or any(
            all(test(_FIELDS[name](entry)) for name, test in tests.items()) for tests in alternatives
        )

    return keep


def stat(request: ServiceRequest) -> Answer:
    """`GET /operation/endpoint/<id>/stat`."""
    operation = _Operation(request, "Stat")
    path = operation.path(_required(request.query.get("path"), "path"), "r")
    entry = operation.attempt(lambda files: files.stat(path))
    return Answer(file_document(entry, operation.collection))


def mkdir(request: ServiceRequest) -> Answer:
    """`POST /operation/endpoint/<id>/mkdir`."""
    operation = _Operation(request, "Mkdir")
    path = operation.path(_required(request.json().get("path"), "path"), "w")
    operation.attempt(lambda files: files.mkdir(path))
    request.world.transfer.listings.forget()
    answer = result("DirectoryCreated", "The directory was created successfully", request.request_id, request.path)
    return Answer({**answer, "DATA_TYPE": "mkdir_result"}, status=202)


def rename(request: ServiceRequest) -> Answer:
    """`POST /operation/endpoint/<id>/rename`; never replaces what is there."""
    operation = _Operation(request, "Rename")
    document = request.json()
    old = operation.path(_required(document.get("old_path"), "old_path"), "w")
    new = operation.path(_required(document.get("new_path"), "new_path"), "w")
    operation.attempt(lambda files: files.rename(old, new))
    request.world.transfer.listings.forget()
    return Answer(result("FileRenamed", "File or directory renamed successfully", request.request_id, request.path))


def _required(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise bad_request(f"Missing required field '{name}'")
    return value


_OPERATION = "/v0.10/operation/endpoint/{endpoint_id}"
ROUTES = (
    Route("GET", f"{_OPERATION}/ls", ls, basis=Basis.QUOTED),
    Route("GET", f"{_OPERATION}/stat", stat, basis=Basis.RECORDED),
    Route("POST", f"{_OPERATION}/mkdir", mkdir, basis=Basis.RECORDED),
    Route("POST", f"{_OPERATION}/rename", rename, basis=Basis.RECORDED),
)

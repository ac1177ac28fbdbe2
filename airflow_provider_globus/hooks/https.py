"""
Small files of a collection, read and written over HTTPS: no transfer task, one request each.

The server of a collection says 404 for a missing file, and also when a part of it is ill and it could not look. Only
the text tells the two apart, so a file counts as missing only when the text says so; the rest is worth another try.
"""

from __future__ import annotations

from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusConsentRequiredError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusServiceError,
    GlobusUnavailableError,
)
from airflow_provider_globus.hooks.https_errors import MISSING, https_errors
from airflow_provider_globus.paths import parent

if TYPE_CHECKING:
    from globus_sdk.experimental.gcs_collection_client import GCSCollectionClient
    from globus_sdk.response import GlobusHTTPResponse
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.hooks.globus import GlobusHook

#: Bytes of a file that is read unless the caller allows more: what fits into an XCom, and takes one short request.
MAX_BYTES = 1_000_000

_BINARY = "application/octet-stream"
# A server is chosen when a connection is made: with a new one, another try may meet another server.
_NEW_CONNECTION = {"Connection": "close"}


def https_server(document: dict[str, Any], name: str) -> str:
    """
    Where a collection's files are reached over HTTPS.

    :param document: the collection's document of Transfer.
    :param name: what an error calls the collection.
    :raises GlobusInputError: when it has no HTTPS access, with what to do instead.
    """
    if server := document.get("https_server"):
        return str(server).rstrip("/")
    kind = document.get("entity_type")
    if kind == "GCSv5_endpoint":
        raise GlobusInputError(
            f"{name!r} is a Globus Connect Server endpoint, not a collection.",
            advice="Files are read from and written to one of its collections: give the collection's UUID.",
        )
    advice = "Move the file with GlobusTransferOperator"
    if kind != "GCP_mapped_collection":
        advice = f"Let its administrator enable HTTPS on it (enable_https), or move {advice.removeprefix('Move ')}"
    raise GlobusInputError(f"The collection {name!r} has no HTTPS access.", advice=advice + ".")


def https_scopes(document: dict[str, Any]) -> list[Scope]:
    """
    The scopes of who reads and writes a collection's files over HTTPS.

    That a mapped collection wants ``data_access``, too, is not documented; the SDK's own downloader asks for both.
    """
    from globus_sdk.scopes import GCSCollectionScopes

    scopes = GCSCollectionScopes(document["id"])
    if document.get("entity_type") == "GCSv5_mapped_collection" and not document.get("high_assurance"):
        return [scopes.https, scopes.data_access]
    return [scopes.https]


def client_options(document: dict[str, Any], name: str) -> dict[str, Any]:
    """What the hook makes the SDK's client of a collection's files from; errors as of :func:`https_server`."""
    from globus_sdk.experimental.gcs_collection_client import GCSCollectionClient

    return {
        "cls": GCSCollectionClient,
        "service": "Connect Server",
        "scopes": https_scopes(document),
        "resource_server": document["id"],
        "collection_id": document["id"],
        "collection_address": https_server(document, name),
    }


class CollectionFiles:
    """
    The files of one collection.

    :param hook: the hook whose identity reads and writes.
    :param collection: UUID, alias of the connection, or unique display name.
    """

    def __init__(self, hook: GlobusHook, collection: str) -> None:
        self._hook = hook
        self.collection = collection

    @cached_property
    def _client(self) -> GCSCollectionClient:
        return self._hook.https_client(self.collection)

    @property
    def collection_id(self) -> str:
        """The collection's UUID."""
        return str(self._client.collection_id)

    def size(self, path: str) -> int | None:
        """
        Bytes of a file, asked for without reading it.

        :return: ``None`` when the server refuses: it gives no reason here, and another request is told.
        """
        try:
            answer = self._ask(f"asking for the size of {path} on {self.collection!r}", "HEAD", path)
        except (GlobusBadRequestError, GlobusNotFoundError, GlobusPermissionError):
            return None
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def read(self, path: str, *, max_bytes: int = MAX_BYTES) -> bytes:
        """
        A file's content.

        :param max_bytes: refuse a file that is larger, before reading it.
        :raises GlobusNotFoundError: when there is no such file; ``code`` is :data:`MISSING`.
        :raises GlobusInputError: when it is larger.
        """
        size = self.size(path)
        content = b"" if (size or 0) > max_bytes else self._read(path, max_bytes + 1)
        found = max(size or 0, len(content))
        if found > max_bytes:
            raise GlobusInputError(
                f"{path} on {self.collection!r} has {found} bytes or more, and max_bytes is {max_bytes}.",
                advice="Raise max_bytes if that much fits into an XCom, or move the file with GlobusTransferOperator.",
            )
        return content

    def _read(self, path: str, most: int) -> bytes:
        """The first bytes of a file: whoever cannot know its size must not be sent all of it."""
        doing = f"reading {path} on {self.collection!r}"
        try:
            answer = self._ask(doing, "GET", path, headers={"Range": f"bytes=0-{most - 1}"})
        except GlobusServiceError as error:
            if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b""  # there is no first byte
            raise
        return bytes(answer.binary_content)

    def read_if_there(self, path: str, *, max_bytes: int = MAX_BYTES) -> bytes | None:
        """A file's content, or ``None`` when the server says that there is none; otherwise as :meth:`read`."""
        try:
            return self.read(path, max_bytes=max_bytes)
        except GlobusNotFoundError as error:
            if error.code != MISSING:
                raise
            return None

    def holds(self, path: str, content: bytes) -> bool | None:
        """Whether a file has this very content; ``None`` when there is no such file. Another size says no at once."""
        if self.size(path) not in (None, len(content)):
            return False
        try:
            return self._read(path, len(content) + 1) == content
        except GlobusNotFoundError as error:
            if error.code != MISSING:
                raise
            return None

    def write(self, path: str, content: bytes, *, parents: bool = True) -> None:
        """
        Write a file, whole; one that is there is replaced.

        A write that breaks off may leave a part of it: what is found afterwards is compared, and a difference is
        an error worth another try.

        :param parents: make missing directories above it.
        """
        doing = f"writing {path} on {self.collection!r}"
        try:
            self._put(doing, path, content)
        except GlobusNotFoundError as error:
            if not parents or error.code != MISSING:
                raise
            make_directories(self._hook, self.collection, parent(path))
            self._put(doing, path, content)
        written = self.size(path)
        if written not in (None, len(content)):
            raise GlobusUnavailableError(
                f"{path} on {self.collection!r} has {written} bytes after {len(content)} were written.",
                advice="Somebody else may have written it at the same time, or the write broke off.",
            )

    def _put(self, doing: str, path: str, content: bytes) -> None:
        self._ask(doing, "PUT", path, data=content, encoding="text", headers={"Content-Type": _BINARY})

    def delete(self, path: str) -> bool:
        """Delete a file; whether there was one."""
        try:
            self._ask(f"deleting {path} on {self.collection!r}", "DELETE", path)
        except GlobusNotFoundError as error:
            if error.code != MISSING:
                raise
            return False
        return True

    def _ask(
        self, doing: str, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> GlobusHTTPResponse:
        """Send a request; when it lacks a consent that the identity can give itself, once more with that."""

        def send() -> GlobusHTTPResponse:
            with https_errors(doing):
                return client.request(method, path, headers={**_NEW_CONNECTION, **(headers or {})}, **more)

        client = self._client
        try:
            return send()
        except GlobusConsentRequiredError as error:
            if not self._hook.credentials.cure(error, self.collection_id):
                raise
            self._hook.log.info("Granting the consent that the collection asks for while %s.", doing)
        return send()


def make_directories(hook: GlobusHook, collection: str, path: str) -> None:
    """
    Make a directory and those above it, as far as they are missing; through Transfer, since HTTPS cannot.

    :param collection: UUID, alias of the connection, or unique display name.
    """
    collection_id, client = hook.use_collection(collection), hook.transfer_client()
    missing, above = [], path
    while above not in ("/", "~", "/~"):
        try:
            hook.call(f"looking at {above} on {collection!r}", client.operation_stat, collection_id, path=above)
            break
        except GlobusNotFoundError:
            missing.append(above)
            above = parent(above)
    for directory in reversed(missing):
        try:
            hook.call(f"making {directory} on {collection!r}", client.operation_mkdir, collection_id, directory)
        except GlobusConflictError:
            hook.log.info("%s was made by somebody else.", directory)

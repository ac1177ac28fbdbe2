"""An S3 service with its buckets as storage: `/<bucket>/<key>`, as Connect Server's S3 connector shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_globus.sandbox.storage.base import Entry, Reader, Storage, Writer
from airflow_provider_globus.sandbox.storage.errors import StorageError
from airflow_provider_globus.sandbox.storage.paths import rebase
from airflow_provider_globus.sandbox.storage.s3 import S3Storage, connect, s3_faults

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Requests that can say who pays for them.
_PAYING = (
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CreateMultipartUpload",
    "DeleteObject",
    "GetObject",
    "HeadObject",
    "ListObjectsV2",
    "PutObject",
    "RestoreObject",
    "UploadPart",
)
_ROOT_IS_FIXED = "Buckets are made and removed at the storage, not here"


@dataclass(frozen=True)
class S3Keys:
    """A key pair, and the beginnings of the paths (`bucket/key…`) it is for; all when there are none."""

    key_id: str | None
    secret: str | None = field(repr=False)
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class S3Options:
    """What a gateway's policies say about every request.

    :param endpoint_url: URL of the S3 service.
    :param buckets: buckets that the root shows beside those the keys own.
    :param requester_pays: let the owner of the keys pay for requests.
    :param storage_class: of new objects; the bucket's default when left out.
    :param restore: bring objects back from archival storage when they are read.
    """

    endpoint_url: str | None = None
    buckets: tuple[str, ...] = ()
    requester_pays: bool = False
    storage_class: str | None = None
    restore: bool = False


class S3Buckets(Storage):
    """All buckets that some keys reach.

    :param keys: the first whose prefixes fit is used; the longest prefix fits best.
    :param root: where `/` of this storage is: `/`, a bucket, or a prefix in one.
    """

    supports_rename = False
    supports_symlinks = False
    supports_modified = False

    def __init__(self, options: S3Options, keys: Iterable[S3Keys], *, root: str = "/") -> None:
        self._options = options
        self._root = root
        self._keys = sorted(
            ((prefix, one) for one in keys for prefix in one.prefixes or ("",)), key=lambda pair: -len(pair[0])
        )
        self._clients: dict[S3Keys, S3Client] = {}

    def _client(self, path: str) -> S3Client:
        """Return a client with the keys for a path of the service."""
        wanted = path.lstrip("/")
        for prefix, keys in self._keys:
            # A prefix may end where a bucket or a folder does: it means them, too.
            if wanted.startswith(prefix) or f"{wanted}/" == prefix:
                if keys not in self._clients:
                    self._clients[keys] = _connect(self._options, keys)
                return self._clients[keys]
        raise StorageError("PERMISSION_DENIED", "None of the S3 keys of the user credential is for this path", path)

    def _at(self, path: str) -> tuple[S3Storage, str] | None:
        """Return the bucket and the path in it; None for the root of the service."""
        place = rebase(path, self._root)
        bucket, _, key = place.lstrip("/").partition("/")
        if not bucket:
            return None
        return S3Storage(f"s3://{bucket}", client=self._client(place)), f"/{key}"

    def _in_bucket(self, path: str, code: str, message: str = _ROOT_IS_FIXED) -> tuple[S3Storage, str]:
        """Return the same for what needs a bucket."""
        found = self._at(path)
        if found is None:
            raise StorageError(code, message, path)
        return found

    def _below_bucket(self, path: str, code: str) -> tuple[S3Storage, str]:
        """Return the same for what a bucket itself cannot take."""
        storage, key = self._in_bucket(path, code)
        if key == "/" and self._root == "/":
            raise StorageError(code, _ROOT_IS_FIXED, path)
        return storage, key

    def stat(self, path: str) -> Entry:
        """Return the entry at a path; a bucket is a folder."""
        found = self._at(path)
        if found is None:
            return _bucket("", 0.0)
        storage, key = found
        if key != "/":
            return storage.stat(key)
        with s3_faults(path):
            storage.client.head_bucket(Bucket=storage.bucket)
        return _bucket(path.rsplit("/", 1)[-1], 0.0)

    def list(self, path: str) -> Iterator[Entry]:
        """Yield the entries of a folder; of the root, the buckets."""
        found = self._at(path)
        if found is None:
            return self._buckets()
        storage, key = found
        return storage.list(key)

    def _buckets(self) -> Iterator[Entry]:
        shown = dict.fromkeys(self._options.buckets, 0.0)
        clients = {id(client): client for client in (self._client(prefix) for prefix, _ in self._keys)}
        for client in clients.values():
            try:
                with s3_faults("/"):
                    owned = client.list_buckets().get("Buckets", [])
            except StorageError as error:
                # Keys that may not list buckets can use those the gateway names all the same.
                if error.code != "PERMISSION_DENIED":
                    raise
                continue
            shown |= {item["Name"]: item["CreationDate"].timestamp() for item in owned}
        yield from (_bucket(name, created) for name, created in shown.items())

    def open_read(self, path: str) -> Reader:
        """Open an object; one in archival storage is asked back first, where the gateway allows it."""
        storage, key = self._in_bucket(path, "IS_A_DIRECTORY", "Is a directory")
        try:
            return storage.open_read(key)
        except StorageError as error:
            if self._options.restore and "InvalidObjectState" in error.message:
                self._restore(storage, key, path)
                raise StorageError("FILE_ACCESS", "The object is being restored from archival storage", path) from None
            raise

    def _restore(self, storage: S3Storage, key: str, path: str) -> None:
        """Ask an object back from archival storage, unless that has been done already."""
        try:
            with s3_faults(path):
                storage.client.restore_object(Bucket=storage.bucket, Key=storage.key(key), RestoreRequest={"Days": 1})
        except StorageError as error:
            if "RestoreAlreadyInProgress" not in error.message:
                raise

    def open_write(self, path: str) -> Writer:
        """Start writing an object."""
        storage, key = self._below_bucket(path, "IS_A_DIRECTORY")
        return storage.open_write(key)

    def mkdir(self, path: str) -> None:
        """Put the zero-byte key of a folder."""
        storage, key = self._below_bucket(path, "PERMISSION_DENIED")
        storage.mkdir(key)

    def make_parents(self, path: str) -> None:
        """Put the zero-byte key of a folder that is missing."""
        found = self._at(path)
        if found is not None and found[1] != "/":
            found[0].make_parents(found[1])
        else:
            self.stat(path)

    def rename(self, old: str, new: str) -> None:
        """Refuse: S3 has no rename."""
        raise StorageError("NOT_SUPPORTED", "S3 collections cannot rename", old)

    def remove_file(self, path: str) -> None:
        """Delete an object."""
        storage, key = self._in_bucket(path, "IS_A_DIRECTORY", "Is a directory")
        storage.remove_file(key)

    def remove_dir(self, path: str) -> None:
        """Delete an empty folder."""
        storage, key = self._below_bucket(path, "PERMISSION_DENIED")
        storage.remove_dir(key)

    def set_modified(self, path: str, moment: float) -> None:
        """Do nothing: S3 sets the time itself."""

    def make_link(self, path: str, target: str) -> None:
        """Refuse: S3 has no symbolic links."""
        raise StorageError("NOT_SUPPORTED", "S3 collections hold no symbolic links", path)

    def identity(self, path: str) -> str:
        """Return the place at the service."""
        return f"s3:/{rebase(path, self._root)}"

    def below(self, path: str) -> Storage:
        """Return a bucket or a prefix, on the same connections."""
        narrowed = S3Buckets(self._options, (), root=rebase(path, self._root))
        narrowed._keys, narrowed._clients = self._keys, self._clients
        return narrowed

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()


def _bucket(name: str, created: float) -> Entry:
    return Entry(name=name, kind="dir", modified=created, permissions="0755", user="s3", group="s3")


def _connect(options: S3Options, keys: S3Keys) -> S3Client:
    """Return a client that says in every request what the gateway's policies want said."""
    client = connect(options.endpoint_url, keys.key_id, keys.secret, anonymous=keys.key_id is None)
    more: dict[str, dict[str, str]] = {}
    if options.requester_pays:
        more |= {operation: {"RequestPayer": "requester"} for operation in _PAYING}
    if options.storage_class:
        for operation in ("PutObject", "CreateMultipartUpload"):
            more[operation] = {**more.get(operation, {}), "StorageClass": options.storage_class}
    for operation, parameters in more.items():
        # What a handler of this event returns is used, though its type says nothing of it.
        handler = cast("Callable[..., None]", _adding(parameters))
        client.meta.events.register(f"provide-client-params.s3.{operation}", handler)
    return client


def _adding(parameters: Mapping[str, str]) -> Callable[..., dict[str, Any]]:
    def add(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, **parameters}

    return add

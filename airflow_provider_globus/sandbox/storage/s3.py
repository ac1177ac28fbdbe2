"""A bucket (or a prefix of one) as storage, through boto3 and any endpoint URL.

S3 has no directories: a folder is whatever keys share a prefix, or a zero-byte key that ends in `/`. It has
no rename, no symbolic links and no modification time of ours; the storage says so instead of imitating them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.storage.base import Entry, Reader, Storage, Writer
from airflow_provider_globus.sandbox.storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024  # S3 wants parts of at least 5 MiB

_CODES = {
    "404": "FILE_NOT_FOUND",
    "NoSuchKey": "FILE_NOT_FOUND",
    "NoSuchBucket": "FILE_NOT_FOUND",
    "403": "PERMISSION_DENIED",
    "AccessDenied": "PERMISSION_DENIED",
    "InvalidAccessKeyId": "INVALID_SERVICE_CREDENTIAL",
    "SignatureDoesNotMatch": "INVALID_SERVICE_CREDENTIAL",
    "ExpiredToken": "INVALID_SERVICE_CREDENTIAL",
    "NoSuchUpload": "MPU_NOT_FOUND",
    "SlowDown": "ENDPOINT_TOO_BUSY",
    "KeyTooLongError": "INVALID_PATH_NAME",
    "QuotaExceeded": "QUOTA_EXCEEDED",
}


@contextmanager
def s3_faults(path: str) -> Iterator[None]:
    """Turn a boto3 error into the Globus word for it."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise StorageError(_CODES.get(code, "ENDPOINT_ERROR"), f"S3 answered {code}", path) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise StorageError("NO_CREDENTIALS", "No S3 credentials", path) from None
    except (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError):
        raise StorageError("TIMEOUT", "S3 did not answer in time", path) from None
    except (exceptions.EndpointConnectionError, exceptions.ConnectionError):
        raise StorageError("CONNECT_FAILED", "The S3 endpoint cannot be reached", path) from None
    except (exceptions.BotoCoreError, OSError) as error:
        raise StorageError("ENDPOINT_ERROR", f"S3 failed: {type(error).__name__}", path) from None


class _S3Reader:
    """A body that reports its network failures as storage errors."""

    def __init__(self, body: Any, path: str) -> None:
        self._body = body
        self._path = path

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""
        with s3_faults(self._path):
            data: bytes = self._body.read(size)
            return data

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()


class S3Writer(Writer):
    """Holds one part in memory; more become a multipart upload, which S3 shows only once complete."""

    def __init__(self, storage: S3Storage, path: str) -> None:
        self._storage = storage
        self._path = path
        self._key = storage.key(path)
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self._stored = False
        self._committed = False

    def write(self, data: bytes) -> None:
        """Append `data`, sending whole parts."""
        self._buffer += data
        while len(self._buffer) >= PART_BYTES:
            self._send_part(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]

    def _send_part(self, data: bytes) -> None:
        client, bucket = self._storage.client, self._storage.bucket
        with s3_faults(self._path):
            if self._upload_id is None:
                upload = client.create_multipart_upload(Bucket=bucket, Key=self._key)
                self._upload_id = upload["UploadId"]
            number = len(self._parts) + 1
            answer = client.upload_part(
                Bucket=bucket, Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=data
            )
            self._parts.append({"ETag": answer["ETag"], "PartNumber": number})

    def _store(self) -> None:
        if self._stored:
            return
        client, bucket = self._storage.client, self._storage.bucket
        if self._upload_id is None:
            with s3_faults(self._path):
                client.put_object(Bucket=bucket, Key=self._key, Body=bytes(self._buffer))
        else:
            if self._buffer:
                self._send_part(bytes(self._buffer))
            with s3_faults(self._path):
                client.complete_multipart_upload(
                    Bucket=bucket,
                    Key=self._key,
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": self._parts},
                )
        self._buffer.clear()
        self._stored = True

    def read_back(self) -> Reader:
        """Store the object, since S3 can show it no other way, and open it."""
        self._store()
        return self._storage.open_read(self._path)

    def commit(self) -> None:
        """Store the object."""
        self._store()
        self._committed = True

    def abort(self) -> None:
        """Give up the upload, or remove an object that was read back and found wrong."""
        if self._committed:
            return
        client, bucket = self._storage.client, self._storage.bucket
        with s3_faults(self._path):
            if self._stored:
                client.delete_object(Bucket=bucket, Key=self._key)
            elif self._upload_id is not None:
                client.abort_multipart_upload(Bucket=bucket, Key=self._key, UploadId=self._upload_id)
        self._committed = True


class S3Storage(Storage):
    """Objects below `s3://bucket/prefix`."""

    supports_rename = False
    supports_symlinks = False
    supports_modified = False

    def __init__(
        self,
        url: str,
        *,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        client: S3Client | None = None,
    ) -> None:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise ValueError(f"An S3 collection needs a bucket, as in s3://bucket/prefix: {url}")
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.client = client or connect(endpoint_url, access_key_id, secret_access_key)

    def key(self, path: str) -> str:
        """Return the key of the object at `path`."""
        return "/".join(part for part in (self.prefix, path.lstrip("/")) if part)

    def _folder(self, path: str) -> str:
        key = self.key(path)
        return f"{key}/" if key else ""

    def stat(self, path: str) -> Entry:
        """Return the object, or the folder that keys below it imply."""
        name, denied = path.rsplit("/", 1)[-1], None
        if path != "/":
            try:
                with s3_faults(path):
                    head = self.client.head_object(Bucket=self.bucket, Key=self.key(path))
                return _file(name, head["ContentLength"], head["LastModified"].timestamp())
            except StorageError as error:
                # An answer to HEAD has no body, so that only the listing says what is wrong with the keys.
                if error.code not in ("FILE_NOT_FOUND", "PERMISSION_DENIED"):
                    raise
                denied = error if error.code == "PERMISSION_DENIED" else None
        with s3_faults(path):
            answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._folder(path), MaxKeys=1)
        if denied is not None:
            raise denied
        found = answer.get("Contents", [])
        if not found and path != "/":
            raise StorageError("FILE_NOT_FOUND", "No such file or directory", path)
        return _folder(name, found[0]["LastModified"].timestamp() if found else 0.0)

    def list(self, path: str) -> Iterator[Entry]:
        """Yield objects and folders one level down, without keys that are no file names (`a//b`, `..`)."""
        folder = self._folder(path)
        exists = path == "/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder, Delimiter="/")
        with s3_faults(path):
            for page in pages:
                for common in page.get("CommonPrefixes", []):
                    exists = True
                    name = common["Prefix"][len(folder) : -1]
                    if _is_name(name):
                        yield _folder(name, 0.0)
                for item in page.get("Contents", []):
                    exists = True
                    name = item["Key"][len(folder) :]
                    if _is_name(name):
                        yield _file(name, item["Size"], item["LastModified"].timestamp())
        # Only asked when no key begins so: an object may have the name of a folder that holds others.
        if not exists and self.stat(path).kind != "dir":
            raise StorageError("NOT_A_DIRECTORY", "Not a directory", path)

    def open_read(self, path: str) -> Reader:
        """Open an object."""
        try:
            with s3_faults(path):
                answer = self.client.get_object(Bucket=self.bucket, Key=self.key(path))
        except StorageError as error:
            if error.code == "FILE_NOT_FOUND" and self.stat(path).is_dir:
                raise StorageError("IS_A_DIRECTORY", "Is a directory", path) from None
            raise
        return _S3Reader(answer["Body"], path)

    def open_write(self, path: str) -> Writer:
        """Start writing an object; a folder of that name is in the way."""
        if path == "/" or self._has_folder(path):
            raise StorageError("IS_A_DIRECTORY", "Is a directory", path)
        return S3Writer(self, path)

    def _has_folder(self, path: str) -> bool:
        with s3_faults(path):
            answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._folder(path), MaxKeys=1)
        return answer.get("KeyCount", 0) > 0

    def mkdir(self, path: str) -> None:
        """Put the zero-byte key of a folder."""
        try:
            self.stat(path)
        except StorageError as error:
            if error.code != "FILE_NOT_FOUND":
                raise
        else:
            raise StorageError("FILE_EXISTS", "File exists", path)
        self._put_folder(path)

    def _put_folder(self, path: str) -> None:
        with s3_faults(path):
            self.client.put_object(Bucket=self.bucket, Key=self._folder(path), Body=b"")

    def make_parents(self, path: str) -> None:
        """Put the zero-byte key of a folder that is missing; those above it follow from it."""
        try:
            entry = self.stat(path)
        except StorageError as error:
            if error.code != "FILE_NOT_FOUND":
                raise
            self._put_folder(path)
            return
        if not entry.is_dir:
            raise StorageError("NOT_A_DIRECTORY", "Not a directory", path)

    def rename(self, old: str, new: str) -> None:
        """Refuse: S3 has no rename."""
        raise StorageError("NOT_SUPPORTED", "S3 collections cannot rename", old)

    def remove_file(self, path: str) -> None:
        """Delete an object that is there."""
        with s3_faults(path):
            self.client.head_object(Bucket=self.bucket, Key=self.key(path))
            self.client.delete_object(Bucket=self.bucket, Key=self.key(path))

    def remove_dir(self, path: str) -> None:
        """Delete the zero-byte key of an empty folder; without one it is gone with its last object."""
        if path == "/":
            raise StorageError("PERMISSION_DENIED", "The root of a collection cannot be removed", path)
        folder = self._folder(path)
        with s3_faults(path):
            answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=folder, MaxKeys=2)
            if any(item["Key"] != folder for item in answer.get("Contents", [])):
                raise StorageError("DIRECTORY_NOT_EMPTY", "Directory not empty", path)
            self.client.delete_object(Bucket=self.bucket, Key=folder)

    def set_modified(self, path: str, moment: float) -> None:
        """Do nothing: S3 sets the time itself."""

    def make_link(self, path: str, target: str) -> None:
        """Refuse: S3 has no symbolic links."""
        raise StorageError("NOT_SUPPORTED", "S3 collections hold no symbolic links", path)

    def identity(self, path: str) -> str:
        """Return the prefix of the folder."""
        return f"s3://{self.bucket}/{self._folder(path)}"

    def below(self, path: str) -> Storage:
        """Return the prefix `path`, on the same connections."""
        return S3Storage(f"s3://{self.bucket}/{self.key(path)}", client=self.client)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name


def _file(name: str, size: int, modified: float) -> Entry:
    return Entry(name=name, kind="file", size=size, modified=modified, user="s3", group="s3")


def _folder(name: str, modified: float) -> Entry:
    return Entry(name=name, kind="dir", modified=modified, permissions="0755", user="s3", group="s3")


def connect(endpoint_url: str | None, key_id: str | None, secret: str | None, *, anonymous: bool = False) -> S3Client:
    """Return a client of an S3 service.

    :param anonymous: sign nothing, for buckets that are open to everybody; else, without keys, those of the
        environment are used.
    """
    import boto3  # costs a third of a second; only S3 collections pay
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.session.Session(
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name=None if endpoint_url is None else "us-east-1",
    )
    config = Config(
        signature_version=UNSIGNED if anonymous else None,
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 2},
        s3={"addressing_style": "path"} if endpoint_url else {},
    )
    return session.client("s3", endpoint_url=endpoint_url, config=config)

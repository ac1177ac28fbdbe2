"""
Small files on a collection, over HTTPS: manifests, markers, settings. No transfer task, an answer at once.

The collection must have HTTPS access: Globus Connect Server, and enabled by its administrator. What is large belongs
into a transfer.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_globus.exceptions import GlobusConflictError, GlobusNotFoundError
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.paths import check_path

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.hooks.https import CollectionFiles

#: Bytes of a file that is read into an XCom, unless the author allows more.
MAX_BYTES = 1_000_000

READ_AS = ("text", "json", "bytes")


class GlobusFileOperator(GlobusOperator):
    """
    Base of the operators that work on one small file.

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the file.
    """

    template_fields: Sequence[str] = ("collection", "path", "globus_conn_id")

    def __init__(self, *, collection: str, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.path = path

    @cached_property
    def files(self) -> CollectionFiles:
        """The files of the collection."""
        from airflow_provider_globus.hooks.https import CollectionFiles

        return CollectionFiles(self.hook, self.collection)

    def file_path(self) -> str:
        """The path, checked: it must be able to be a file's."""
        path = check_path(self.path, "path")
        if path.endswith("/") or path in ("~", "/~"):
            raise self.refuse(f"path {path!r} is a directory.", "Give the path of a file.")
        return path

    def about(self, path: str, data: bytes, **more: Any) -> dict[str, Any]:
        """What an XCom says about a file."""
        digest = hashlib.sha256(data).hexdigest()
        return {"collection": self.files.collection_id, "path": path, "bytes": len(data), "sha256": digest, **more}


class GlobusReadFileOperator(GlobusFileOperator):
    """
    Read a small file over HTTPS. Returns a dict: ``content``, ``path``, ``bytes``, ``sha256``, ``collection`` (UUID).

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the file.
    :param read_as: what ``content`` is: ``text`` (UTF-8), ``json`` (the value it holds) or ``bytes`` (in base64, since
        XComs hold no bytes).
    :param max_bytes: a larger file is refused before it is read. Default: 1,000,000.
    :param missing_ok: return ``content`` ``None`` when the server says that there is no such file. Default: fail. A
        server that could not look is no such answer: that fails, and Airflow's retries apply.
    """

    def __init__(
        self,
        *,
        read_as: Literal["text", "json", "bytes"] = "text",
        max_bytes: int = MAX_BYTES,
        missing_ok: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.read_as = read_as
        self.max_bytes = max_bytes
        self.missing_ok = missing_ok
        if read_as not in READ_AS:
            raise self.refuse(f"read_as {read_as!r} is unknown.", f"Choose from {READ_AS}.")
        if max_bytes < 0:
            raise self.refuse(f"max_bytes must be at least 0, not {max_bytes}.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Read."""
        path = self.file_path()
        if self.missing_ok:
            content = self.files.read_if_there(path, max_bytes=self.max_bytes)
        else:
            content = self.files.read(path, max_bytes=self.max_bytes)
        if content is None:
            self.log.info("There is no %s on %r.", path, self.collection)
            # A dict all the same: whoever reads the XCom finds one.
            return {**self.about(path, b""), "content": None, "sha256": None}
        self.log.info("Read %s on %r: %d bytes.", path, self.collection, len(content))
        return self.about(path, content, content=self._understood(path, content))

    def _understood(self, path: str, content: bytes) -> Any:
        if self.read_as == "bytes":
            return base64.b64encode(content).decode()
        try:
            return content.decode() if self.read_as == "text" else json.loads(content)
        except UnicodeDecodeError:
            raise self.refuse(
                f"{path} on {self.collection!r} is no text in UTF-8.", "Read it with read_as='bytes'."
            ) from None
        except ValueError as error:
            raise self.refuse(f"{path} on {self.collection!r} holds no valid JSON: {error}.") from None


class GlobusWriteFileOperator(GlobusFileOperator):
    """
    Write a small file over HTTPS. Returns a dict: ``action``, ``path``, ``bytes``, ``sha256``, ``collection`` (UUID).

    Doing it again changes nothing: ``action`` is ``created``, ``updated`` or ``unchanged``. HTTPS knows no lock: when
    two tasks write the same file at the same moment, ``overwrite=False`` may not notice.

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the file.
    :param content: text or bytes, written as they are, or anything else, written as JSON. Default: nothing, for a
        marker.
    :param overwrite: replace a file with other content. With ``False``, that is an error.
    :param parents: make missing directories above it.
    """

    template_fields: Sequence[str] = ("collection", "path", "content", "globus_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"content": "json"}

    def __init__(self, *, content: Any = "", overwrite: bool = True, parents: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.content = content
        self.overwrite = overwrite
        self.parents = parents

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, and write if it is not so already."""
        path, content = self.file_path(), self._bytes()
        action = self._action(path, content)
        if action != "unchanged":
            self.files.write(path, content, parents=self.parents)
        self.log.info("%s on %r: %s, %d bytes.", path, self.collection, action, len(content))
        return self.about(path, content, action=action)

    def _bytes(self) -> bytes:
        """The file's content. JSON ends in a line feed, as editors and diffs like it."""
        if isinstance(self.content, bytes):
            return self.content
        if isinstance(self.content, str):
            return self.content.encode()
        try:
            return (json.dumps(self.content, indent=2, ensure_ascii=False) + "\n").encode()
        except (TypeError, ValueError) as error:
            raise self.refuse(f"content is no JSON: {error}.", "Give text, bytes, or what JSON can hold.") from None

    def _action(self, path: str, content: bytes) -> str:
        same = self.files.holds(path, content)
        if same is None:
            return "created"
        if same:
            return "unchanged"
        if not self.overwrite:
            raise GlobusConflictError(
                f"{path} on {self.collection!r} exists with other content.",
                advice="Set overwrite=True to replace it, or write to another path.",
            )
        return "updated"


class GlobusDeleteFileOperator(GlobusFileOperator):
    """
    Delete a file over HTTPS. Returns a dict: ``action`` (``deleted``, or ``unchanged`` when there was none), ``path``,
    ``collection`` (UUID).

    A directory is not deleted: that is for ``GlobusDeleteOperator``.

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the file.
    :param missing_ok: be content when there is no such file.
    """

    def __init__(self, *, missing_ok: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.missing_ok = missing_ok

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete."""
        path = self.file_path()
        deleted = self.files.delete(path)
        if not deleted and not self.missing_ok:
            raise GlobusNotFoundError(
                f"There is no {path} on {self.collection!r}.", advice="Set missing_ok=True if that is as well."
            )
        action = "deleted" if deleted else "unchanged"
        self.log.info("%s on %r: %s.", path, self.collection, action)
        return {"collection": self.files.collection_id, "path": path, "action": action}

"""Files and directories of a collection: operations that Globus answers at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.exceptions import (
    GlobusAuthError,
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusConsentRequiredError,
    GlobusError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusRateLimitError,
    GlobusServiceError,
)
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.paths import check_path, join, parent

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Entries that a listing returns at most, unless the author asks for fewer.
MAX_ENTRIES = 10_000

#: Refusals that say enough for themselves.
_TELLING = (GlobusAuthError, GlobusConsentRequiredError, GlobusPermissionError, GlobusRateLimitError)

_FIELDS = ("type", "size", "last_modified", "permissions", "user", "group", "link_target")


class GlobusCollectionOperator(GlobusOperator):
    """
    Base of the operators that work on one collection.

    :param collection: UUID, alias of the connection, or unique display name.
    :param local_user: account on a collection that maps the identity to several.
    """

    def __init__(self, *, collection: str, local_user: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.local_user = local_user

    def options(self, **options: Any) -> dict[str, Any]:
        """Arguments for the SDK, without those that were not given."""
        given = options | {"local_user": self.local_user}
        return {name: value for name, value in given.items() if value is not None}


class GlobusMkdirOperator(GlobusCollectionOperator):
    """
    Make a directory. Returns its path.

    :param path: the directory.
    :param parents: make missing directories above it, too.
    :param exist_ok: do nothing when it exists.
    """

    template_fields: Sequence[str] = ("collection", "path", "globus_conn_id")

    def __init__(self, *, path: str, parents: bool = True, exist_ok: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.parents = parents
        self.exist_ok = exist_ok

    def execute(self, context: Context) -> str:
        """Make the directory, and first those above it if need be."""
        path = check_path(self.path, "path").rstrip("/")
        collection_id = self.hook.use_collection(self.collection)
        try:
            self._make(collection_id, path)
        except GlobusNotFoundError:
            if not self.parents:
                raise
            for above in reversed(list(self._missing_parents(collection_id, path))):
                self._make(collection_id, above, exist_ok=True)
            self._make(collection_id, path)
        return path

    def _make(self, collection_id: str, path: str, *, exist_ok: bool | None = None) -> None:
        client = self.hook.transfer_client()
        try:
            self.hook.call(
                f"making the directory {path} on {self.collection!r}",
                client.operation_mkdir,
                collection_id,
                path,
                **self.options(),
            )
        except GlobusConflictError:
            if not (self.exist_ok if exist_ok is None else exist_ok) or not self._is_directory(collection_id, path):
                raise
            self.log.info("%s exists already.", path)
        else:
            self.log.info("Made %s.", path)

    def _is_directory(self, collection_id: str, path: str) -> bool:
        client = self.hook.transfer_client()
        doing = f"looking at {path} on {self.collection!r}"
        stat = self.hook.call(doing, client.operation_stat, collection_id, path=path, **self.options())
        return bool(stat["type"] == "dir")

    def _missing_parents(self, collection_id: str, path: str) -> Iterator[str]:
        above = parent(path)
        while above not in ("/", "~", "/~"):
            try:
                if self._is_directory(collection_id, above):
                    return
            except GlobusNotFoundError:
                yield above
            above = parent(above)


class GlobusRenameOperator(GlobusCollectionOperator):
    """
    Rename or move a file or directory within a collection. Returns the new path.

    Doing it again does nothing: when the old path is gone and the new one is there, an earlier try has done it.
    Collections on object storage such as S3 cannot rename, which the error says: there, copy with
    ``GlobusTransferOperator`` (the collection is source and destination, ``verify_checksum=True``), then delete the
    old path with ``GlobusDeleteOperator``, or with ``GlobusSafePruneOperator`` only what is proven to be copied.

    :param old_path: what to rename.
    :param new_path: its new name; must not exist.
    """

    template_fields: Sequence[str] = ("collection", "old_path", "new_path", "globus_conn_id")

    def __init__(self, *, old_path: str, new_path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.old_path = old_path
        self.new_path = new_path

    def execute(self, context: Context) -> str:
        """Rename."""
        old, new = check_path(self.old_path, "old_path"), check_path(self.new_path, "new_path")
        if old.rstrip("/") == new.rstrip("/"):
            raise self.refuse(f"old_path and new_path are the same: {old!r}.")
        collection_id = self.hook.use_collection(self.collection)
        client = self.hook.transfer_client()
        doing = f"renaming {old} to {new} on {self.collection!r}"
        try:
            self.hook.call(doing, client.operation_rename, collection_id, old, new, **self.options())
        except GlobusNotFoundError:
            looking = f"looking for {new} on {self.collection!r}"
            self.hook.call(looking, client.operation_stat, collection_id, path=new, **self.options())
            self.log.info("%s is gone and %s exists: an earlier try has renamed it.", old, new)
        except GlobusServiceError as error:
            if isinstance(error, _TELLING) or self._can_rename(collection_id, old, error):
                raise
            raise self._no_rename(old, new, error) from None
        else:
            self.log.info("Renamed %s to %s.", old, new)
        return new

    def _can_rename(self, collection_id: str, old: str, error: GlobusServiceError) -> bool:
        """Whether the collection's storage has a rename, as far as it says."""
        if error.code == "NotSupported":
            return False
        client = self.hook.transfer_client()
        where = parent(old)
        doing = f"asking whether {self.collection!r} can rename"
        try:
            listing = self.hook.call(doing, client.operation_ls, collection_id, path=where, limit=1, **self.options())
        except GlobusError:
            return True
        return listing.get("rename_supported") is not False

    def _no_rename(self, old: str, new: str, error: GlobusServiceError) -> GlobusBadRequestError:
        return GlobusBadRequestError(
            f"{self.collection!r} cannot rename {old} to {new}: object storage such as S3 has no rename. "
            f"Globus answered: {error.message}",
            advice=f"Copy it with GlobusTransferOperator (source_collection and destination_collection "
            f"{self.collection!r}, {old!r} to {new!r}), then delete {old!r} with GlobusDeleteOperator.",
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        )


class GlobusListOperator(GlobusCollectionOperator):
    """
    List a directory. Returns a list of dicts: ``path``, ``name``, ``type``, ``size``, ``last_modified`` and more.

    Globus lists directories of up to 100,000 entries. What is read beyond ``limit`` is never held in memory.

    :param path: the directory.
    :param filter: Globus's own filter, as a dict (``{"type": "file", "name": "~*.h5"}``) or in its text form.
    :param orderby: Globus's own order, for example ``"size DESC"``.
    :param recursive: list directories below, too; ``filter`` then applies to files only.
    :param show_hidden: include names that start with a dot.
    :param limit: entries returned at most, up to 10,000; more there are is an error unless ``truncate`` is set.
    :param truncate: cut the list at ``limit`` instead of failing.
    """

    template_fields: Sequence[str] = ("collection", "path", "filter", "globus_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"filter": "json"}

    def __init__(
        self,
        *,
        path: str,
        filter: Mapping[str, str] | str | None = None,
        orderby: str | None = None,
        recursive: bool = False,
        show_hidden: bool = True,
        limit: int = MAX_ENTRIES,
        truncate: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.filter = filter
        self.orderby = orderby
        self.recursive = recursive
        self.show_hidden = show_hidden
        self.limit = limit
        self.truncate = truncate
        if not 1 <= limit <= MAX_ENTRIES:
            raise self.refuse(f"limit must be 1 to {MAX_ENTRIES}, not {limit}.", "XComs are not made for long lists.")

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List."""
        path = check_path(self.path, "path")
        collection_id = self.hook.use_collection(self.collection)
        entries = list(itertools.islice(self._entries(collection_id, path), self.limit + 1))
        if len(entries) > self.limit:
            if not self.truncate:
                raise self.refuse(
                    f"{path} on {self.collection!r} holds more than {self.limit} entries.",
                    "Raise limit, narrow it with filter, or set truncate=True.",
                )
            entries = entries[: self.limit]
        self.log.info("%d entries in %s on %r.", len(entries), path, self.collection)
        return entries

    def _entries(self, collection_id: str, path: str) -> Iterator[dict[str, Any]]:
        from airflow_provider_globus.hooks.files import PAGE, list_directory, walk

        # One more than wanted tells whether there are more; a page of the usual size would be read for nothing.
        options = self.options(
            orderby=self.orderby,
            filter=self.filter,
            show_hidden=self.show_hidden,
            page_size=min(self.limit + 1, PAGE),
        )
        found: Iterator[tuple[str, dict[str, Any]]]
        if not self.recursive:
            found = ((entry["name"], entry) for entry in list_directory(self.hook, collection_id, path, **options))
        elif self.filter:
            # Of several filters one is enough: this one keeps the directories to go into.
            options["filter"] = [{"type": "dir"}, self.filter]
            entries = walk(self.hook, collection_id, path, **options)
            found = ((relative, entry) for relative, entry in entries if entry["type"] != "dir")
        else:
            found = walk(self.hook, collection_id, path, **options)
        for relative, entry in found:
            yield {"path": join(path, relative), "name": entry["name"]} | {name: entry.get(name) for name in _FIELDS}


class GlobusStatOperator(GlobusCollectionOperator):
    """
    Describe one file or directory: ``type``, ``size``, ``last_modified`` and more.

    :param path: the file or directory.
    :param missing_ok: return ``None`` when it does not exist. Default: fail.
    """

    template_fields: Sequence[str] = ("collection", "path", "globus_conn_id")

    def __init__(self, *, path: str, missing_ok: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.missing_ok = missing_ok

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Look."""
        path = check_path(self.path, "path")
        collection_id = self.hook.use_collection(self.collection)
        client = self.hook.transfer_client()
        doing = f"looking at {path} on {self.collection!r}"
        try:
            stat = self.hook.call(doing, client.operation_stat, collection_id, path=path, **self.options())
        except GlobusNotFoundError:
            if self.missing_ok:
                return None
            raise
        return {"path": path, "name": stat["name"]} | {name: stat.get(name) for name in _FIELDS}

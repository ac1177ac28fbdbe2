"""Listings of collections, page by page and directory by directory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.paths import join

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Entries asked for at once; Globus allows ten times as many, at the price of one very large answer.
PAGE = 10_000


def list_directory(hook: GlobusHook, collection_id: str, path: str, **options: Any) -> Iterator[dict[str, Any]]:
    """
    Yield the entries of one directory as the Transfer API describes them.

    :param options: further arguments of ``TransferClient.operation_ls``, for example ``filter`` or ``orderby``.
    """
    client = hook.transfer_client()
    offset = 0
    while True:
        doing = f"listing {path} on collection {collection_id}"
        page = hook.call(doing, client.operation_ls, collection_id, path=path, limit=PAGE, offset=offset, **options)
        yield from page["DATA"]
        offset += len(page["DATA"])
        if len(page["DATA"]) < PAGE:
            return


def walk(hook: GlobusHook, collection_id: str, path: str, **options: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Yield all entries below a directory, each with its path relative to ``path``; a directory before what it holds.

    One call for each directory. Symbolic links are not followed: Globus reports them with their own type.
    """
    todo = deque([""])
    while todo:
        below = todo.popleft()
        for entry in list_directory(hook, collection_id, join(path, below) if below else path, **options):
            relative = join(below, entry["name"])
            if entry["type"] == "dir":
                todo.append(relative)
            yield relative, entry

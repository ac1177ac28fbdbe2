"""Listings of collections, page by page and directory by directory: memory holds one page, however many files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusBadRequestError
from airflow_provider_globus.paths import join

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: Entries asked for at once. Each takes some 2 kB here while its page is read; and Globus, whose storages know no
#: pages, fetches the whole directory again for each.
PAGE = 20_000

#: Entries of one directory that Globus lists at most; it refuses to list one that holds more.
MAX_DIRECTORY = 100_000


def list_directory(
    hook: GlobusHook, collection_id: str, path: str, *, page_size: int = PAGE, **options: Any
) -> Iterator[dict[str, Any]]:
    """
    Yield the entries of one directory as the Transfer API describes them, in the order it gives.

    What comes or goes between two pages may be missed or seen twice.

    :param page_size: entries asked for at once, up to 100,000; less for who needs only the first.
    :param options: further arguments of ``TransferClient.operation_ls``, for example ``filter`` or ``orderby``.
    :raises GlobusBadRequestError: for a directory that holds more than Globus lists.
    """
    offset = 0
    while True:
        page, total = _page(hook, collection_id, path, limit=page_size, offset=offset, **options)
        offset += len(page)
        is_last = len(page) < page_size or offset == total
        yield from page
        if is_last:
            return
        # Or it would be kept until the next has been read.
        del page


def _page(hook: GlobusHook, collection_id: str, path: str, **options: Any) -> tuple[list[dict[str, Any]], int | None]:
    """One page, and how many entries all pages have together."""
    client = hook.transfer_client()
    doing = f"listing {path} on collection {collection_id}"
    try:
        answer = hook.call(doing, client.operation_ls, collection_id, path=path, **options)
    except GlobusBadRequestError as error:
        if not (error.code or "").endswith("SizeLimit"):
            raise
        raise GlobusBadRequestError(
            error.message,
            advice=f"Globus lists no directory of more than {MAX_DIRECTORY:,} entries, whatever the filter: "
            "spread the files over directories below it.",
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from None
    return answer["DATA"], answer.get("total")


def walk(hook: GlobusHook, collection_id: str, path: str, **options: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Yield all entries below a directory, each with its path relative to ``path``; a directory before what it holds.

    At least one call for each directory, the nearest to ``path`` first, each in the order that Globus gives. Symbolic
    links are not followed: Globus reports them with their own type.

    :param options: as for :func:`list_directory`; a ``filter`` must let directories through.
    """
    todo = deque([""])
    while todo:
        below = todo.popleft()
        for entry in list_directory(hook, collection_id, join(path, below) if below else path, **options):
            relative = join(below, entry["name"])
            if entry["type"] == "dir":
                todo.append(relative)
            yield relative, entry


def entries_of(
    hook: GlobusHook, collection_id: str, path: str, *, recursive: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of a directory, or all below it, each with its path relative to ``path``."""
    if recursive:
        return walk(hook, collection_id, path)
    return ((entry["name"], entry) for entry in list_directory(hook, collection_id, path))

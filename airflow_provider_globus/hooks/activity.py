"""What endpoint managers see: tasks of other identities on a collection, page by page, and who may see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusPermissionError, GlobusUnavailableError

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

#: The role that sees other people's tasks on a collection.
MONITOR = "activity_monitor"

#: The role that cancels and pauses them, and makes pause rules.
MANAGER = "activity_manager"

#: Ids that one call takes, by Globus's documentation.
MAX_IDS = 50

_UNFINISHED = ("ACTIVE", "INACTIVE")


@contextmanager
def needs_role(role: str, collection: str) -> Iterator[None]:
    """
    Say, where Globus refuses, which role is missing and where.

    :param role: :data:`MONITOR` or :data:`MANAGER`.
    :param collection: the collection or endpoint, as the author named it.
    :raises GlobusPermissionError: instead of the one that does not tell.
    """
    try:
        yield
    except GlobusPermissionError as error:
        raise GlobusPermissionError(
            error.message,
            advice=f"Ask an administrator of {collection!r}, or of the endpoint it is on, to give the identity of this "
            f"connection the role {role}; Globus grants it only where a subscription covers the endpoint.",
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from None


def unfinished_tasks(
    hook: GlobusHook, collection_id: str, *, shown: str = "", use: str | None = None, polling: bool = False
) -> Iterator[dict[str, Any]]:
    """
    Yield the unfinished tasks of all identities on a collection or endpoint, or on what is hosted on it.

    :param shown: what the author calls the collection, for errors.
    :param use: ``source`` or ``destination``: only tasks that use it as that.
    :param polling: never wait long inside a call.
    :raises GlobusPermissionError: naming the role that is missing.
    """
    filters = {"filter_status": list(_UNFINISHED)}
    return _pages(hook, collection_id, shown or collection_id, filters, use=use, polling=polling)


def tasks_since(
    hook: GlobusHook,
    collection_id: str,
    since: float,
    until: float | None = None,
    *,
    shown: str = "",
    use: str | None = None,
    polling: bool = False,
) -> Iterator[dict[str, Any]]:
    """
    Yield the tasks of a window of time: those that ended in it, and those that are unfinished and began before its end.

    Unfinished ones come first. A task that ends while the pages are read may be seen a second time.

    :param since: begin of the window, seconds since the epoch.
    :param until: its end; none by default.
    """
    if until is not None:
        for task in unfinished_tasks(hook, collection_id, shown=shown, use=use, polling=polling):
            if moment(task["request_time"]) <= until:
                yield task
    # A window without an end includes, at Globus, unfinished tasks: they will complete in it.
    window = {"filter_completion_time": f"{_text(since)},{_text(until) if until is not None else ''}"}
    yield from _pages(hook, collection_id, shown or collection_id, window, use=use, polling=polling)


def tasks_named(hook: GlobusHook, task_ids: Sequence[str], *, shown: str) -> list[dict[str, Any]]:
    """Look at tasks by their ids, at most :data:`MAX_IDS` at once; asked for by a manager."""
    client = hook.transfer_client()
    doing = f"looking at {len(task_ids)} tasks on {shown!r}"
    with needs_role(MONITOR, shown):
        answer = hook.call(doing, client.endpoint_manager_task_list, filter_task_id=list(task_ids))
    return list(answer["DATA"])


def moment(text: str) -> float:
    """A time of a task document in seconds since the epoch."""
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _text(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")


def _pages(
    hook: GlobusHook,
    collection_id: str,
    shown: str,
    filters: dict[str, Any],
    *,
    use: str | None,
    polling: bool,
) -> Iterator[dict[str, Any]]:
    """Each page is asked for when the one before has been used: memory holds one, however many tasks there are."""
    client = hook.transfer_client(polling=polling)
    options: dict[str, Any] = {"filter_endpoint": collection_id, **filters}
    if use is not None:
        options["filter_endpoint_use"] = use
    last_key = None
    while True:
        doing = f"listing the tasks of all users on {shown!r}"
        with needs_role(MONITOR, shown):
            page = hook.call(doing, client.endpoint_manager_task_list, **options)
        yield from page["DATA"]
        if not page.get("has_next_page"):
            return
        if page.get("last_key") in (None, last_key):
            raise GlobusUnavailableError(f"Globus promises more tasks on {shown!r} and does not say where to go on.")
        last_key = options["last_key"] = page["last_key"]
        del page

"""
Watchers for assets: DAGs that start when files land, when anybody's transfer has succeeded, when a flow run has ended.

::

    landed = GlobusArrivedFilesTrigger(collection="instrument", path="/inbox/")
    inbox = Asset("globus://instrument/inbox", watchers=[AssetWatcher(name="inbox", trigger=landed)])


    @dag(schedule=[inbox])
    def take_in(): ...
"""

from __future__ import annotations

import fnmatch
import posixpath
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.paths import check_path, join
from airflow_provider_globus.triggers.event_ledger import Knowledge
from airflow_provider_globus.triggers.watcher import Arrival, GlobusWatcher, News, short_id

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook
    from airflow_provider_globus.jobs.base import Document

#: Looks that must miss a file before it counts as gone: Globus may leave one out while a listing is read in pages.
_LOOKS_TO_GO = 3

#: How a run may end.
_ENDS = {"SUCCEEDED", "FAILED"}

#: Seconds that are looked at again each time: Globus's clock is not ours, and an ending may show late.
OVERLAP = 300.0


class GlobusArrivedFilesTrigger(GlobusWatcher):
    """
    Fires an event for each file that lands in a directory, or for each directory in which a marker lands.

    The event's payload has ``collection``, ``collection_id``, ``path``, ``name``, ``size`` and ``last_modified``. A
    file that is written anew, with another size or time, lands anew. The directory need not exist yet.

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the directory.
    :param pattern: only files whose name matches this glob, for example ``*.h5``.
    :param marker: fire when a file of this name lands; ``path`` of the payload is then its directory, and size and time
        are the marker's.
    :param recursive: look into directories below, too; one call for each directory at each look.
    :param stable_for: seconds for which a file must not have changed. Default: until the next look finds it as it was,
        so that none is told while it grows; 0 with a marker, which is written last.
    :param existing: tell also of the files that are there when the watcher first looks.
    """

    service = "listings"

    def __init__(
        self,
        *,
        collection: str,
        path: str,
        pattern: str | None = None,
        marker: str | None = None,
        recursive: bool = False,
        stable_for: float | None = None,
        existing: bool = False,
        globus_conn_id: str = "globus_default",
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__(globus_conn_id=globus_conn_id, poll_interval=poll_interval)
        self.collection = collection
        self.path = check_path(path, "path")
        self.pattern = pattern
        self.marker = marker
        self.recursive = recursive
        self.stable_for = stable_for
        self.existing = existing
        if pattern is not None and marker is not None:
            raise self.refuse("pattern and marker exclude each other.", "A marker is a file's whole name.")
        if stable_for is not None and stable_for < 0:
            raise self.refuse(f"stable_for must not be below 0, not {stable_for}.")
        self._collection_id = ""
        self._first_seen: dict[str, float] = {}
        self._missed: dict[str, int] = {}

    def watched(self) -> dict[str, Any]:
        """The files."""
        return {
            "collection": self.collection,
            "path": self.path,
            "pattern": self.pattern,
            "marker": self.marker,
            "recursive": self.recursive,
        }

    def choices(self) -> dict[str, Any]:
        """When to tell of them."""
        return {"stable_for": self.stable_for, "existing": self.existing}

    def subject(self, hook: GlobusHook) -> str:
        """The directory."""
        from airflow_provider_globus.jobs.arrivals import Listings

        self._collection_id = hook.use_collection(self.collection)
        return Listings.of(self._collection_id, self.path, recursive=self.recursive)

    def begin(self, document: Document) -> Knowledge:
        """The files that are there."""
        return Knowledge(frozenset() if self.existing else frozenset(self._files(document)))

    def news(self, document: Document, known: Knowledge) -> News:
        """Files that were not there, and are complete."""
        if not document["exists"]:
            return News([], known)
        now, files = time.monotonic(), self._files(document)
        self._first_seen = {file: self._first_seen.get(file, now) for file in files if file not in known.seen}
        complete = [file for file, since in self._first_seen.items() if now - since >= self._patience]
        arrivals = [Arrival(file, self._facts(*files[file])) for file in complete]
        arrivals.sort(key=lambda arrival: (arrival.facts["last_modified"], arrival.facts["path"]))
        self._missed = {file: self._missed.get(file, 0) + 1 for file in known.seen if file not in files}
        gone = {file for file, looks in self._missed.items() if looks >= _LOOKS_TO_GO}
        return News(arrivals, known._replace(seen=(known.seen - gone) | set(complete)))

    @property
    def _patience(self) -> float:
        if self.stable_for is not None:
            return self.stable_for
        # Less than an interval, since looks come now and then a moment early.
        return 0.0 if self.marker is not None else self.poll_interval / 2

    def _files(self, document: Document) -> dict[str, tuple[str, int, str]]:
        wanted = self.marker or self.pattern or "*"
        matches = fnmatch.fnmatchcase if self.marker is None else str.__eq__
        files = (tuple(file) for file in document["files"])
        return {short_id(*file): file for file in files if matches(posixpath.basename(file[0]), wanted)}

    def _facts(self, relative: str, size: int, last_modified: str) -> dict[str, Any]:
        path = join(self.path, relative)
        return {
            "collection": self.collection,
            "collection_id": self._collection_id,
            "path": posixpath.dirname(path) if self.marker is not None else path,
            "name": posixpath.basename(path),
            "size": size,
            "last_modified": last_modified,
        }


class _EndingsWatcher(GlobusWatcher):
    """Watches what ends; what had ended before the first look is not told."""

    _web_app_url = ""

    @property
    def lately(self) -> float:
        """Seconds that each look reaches back: two intervals, so that one look may fail."""
        return OVERLAP + 2 * self.poll_interval

    def begin(self, document: Document) -> Knowledge:
        """All that has ended."""
        until = document["until"]
        return Knowledge(frozenset(short_id(one["id"]) for one in self._recent(document, until)), until)

    def news(self, document: Document, known: Knowledge) -> News:
        """What has ended since, in the order in which it did."""
        recent = self._recent(document, known.until)
        until = max([known.until, document["until"], *(one["when"] for one in recent)])
        arrivals = [Arrival(short_id(one["id"]), self._facts(one)) for one in recent]
        # Known is known by its id: times are Globus's, and two things may end at the same.
        news = [arrival for arrival in arrivals if arrival.id not in known.seen]
        seen = frozenset(short_id(one["id"]) for one in self._recent(document, until))
        return News(news, Knowledge(seen, until))

    def wider(self, document: Document, known: Knowledge) -> str | None:
        """All since what is known, when looks failed or the triggerer was down for longer than a look reaches back."""
        begin = known.until - OVERLAP
        return self.since(begin) if document["since"] > begin else None

    @abstractmethod
    def since(self, begin: float) -> str:
        """The subject that reaches back to a time."""

    @abstractmethod
    def concerns(self, one: Mapping[str, Any]) -> bool:
        """Whether something that ended is one of those watched for."""

    @abstractmethod
    def url(self, one: Mapping[str, Any]) -> str:
        """Where a person can look at it."""

    def _recent(self, document: Document, until: float) -> list[dict[str, Any]]:
        recent = [one for one in document["ended"] if one["when"] >= until - OVERLAP and self.concerns(one)]
        return sorted(recent, key=lambda one: (one["when"], one["id"]))

    def _facts(self, one: Mapping[str, Any]) -> dict[str, Any]:
        return {**{name: value for name, value in one.items() if name not in ("id", "when")}, "url": self.url(one)}


class GlobusArrivedTransfersTrigger(_EndingsWatcher):
    """
    Fires an event for each transfer, of any identity, that has written to a collection and succeeded.

    The identity of the connection needs the role ``activity_monitor`` (or ``activity_manager``) on the collection, on
    the one it is shared from, or on the endpoint. The payload has ``task_id``, ``owner``, ``owner_id``, ``label``,
    ``files``, ``bytes``, ``source_id``, ``destination_id``, the names of both as ``source`` and ``destination``,
    ``request_time``, ``completion_time`` and ``url``.

    :param collection: UUID, alias of the connection, or unique display name; or the UUID of a Connect Server endpoint,
        for all collections on it.
    :param source: only transfers from this collection.
    :param label: only transfers whose label matches this glob.
    :param owners: only transfers of these identities (UUIDs or usernames). Default: of all.
    :param exclude_own: leave out transfers of the connection's own identity.
    """

    service = "ended-tasks"

    def __init__(
        self,
        *,
        collection: str,
        source: str | None = None,
        label: str | None = None,
        owners: Sequence[str] | None = None,
        exclude_own: bool = False,
        globus_conn_id: str = "globus_default",
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__(globus_conn_id=globus_conn_id, poll_interval=poll_interval)
        self.collection = collection
        self.source = source
        self.label = label
        self.owners = list(owners or [])
        self.exclude_own = exclude_own
        self._collection_id = ""
        self._source_id: str | None = None
        self._owner_ids: list[str] = []
        self._own_id: str | None = None

    def watched(self) -> dict[str, Any]:
        """The transfers."""
        return {
            "collection": self.collection,
            "source": self.source,
            "label": self.label,
            "owners": self.owners,
            "exclude_own": self.exclude_own,
        }

    def subject(self, hook: GlobusHook) -> str:
        """The tasks of the last minutes."""
        from airflow_provider_globus.operators.principals import identity_ids, own_identity_id

        self._web_app_url = hook.settings.web_app_url
        self._collection_id = hook.resolve_collection(self.collection)
        self._source_id = None if self.source is None else hook.resolve_collection(self.source)
        self._owner_ids = list(identity_ids(hook, self.owners))
        self._own_id = own_identity_id(hook) if self.exclude_own else None
        return self._reaching(lately=self.lately)

    def since(self, begin: float) -> str:
        """The tasks since a time."""
        return self._reaching(since=begin)

    def concerns(self, one: Mapping[str, Any]) -> bool:
        """Whether it is a transfer as wanted, and succeeded."""
        return (
            (one["type"], one["state"]) == ("TRANSFER", "succeeded")
            and self._source_id in (None, one["source_id"])
            and one["owner_id"] != self._own_id
            and (not self._owner_ids or one["owner_id"] in self._owner_ids)
            and (self.label is None or fnmatch.fnmatchcase(one["label"] or "", self.label))
        )

    def url(self, one: Mapping[str, Any]) -> str:
        """The task's page."""
        from airflow_provider_globus.jobs.transfer import TransferJobs

        return TransferJobs().url(self._web_app_url, one["id"])

    def _reaching(self, **back: float) -> str:
        from airflow_provider_globus.jobs.base import look_id

        return look_id({"collection_id": self._collection_id, "shown": self.collection, "use": "destination", **back})


class GlobusEndedFlowRunsTrigger(_EndingsWatcher):
    """
    Fires an event for each run of a flow that has ended, whoever started it.

    The identity of the connection must see the runs: as their owner, manager or monitor. The payload has ``run_id``,
    ``flow_id``, ``flow_title``, ``label``, ``status``, ``start_time``, ``completion_time`` and ``url``; of a failed run
    also ``error``.

    :param flow: UUID, alias of the connection, or title of exactly one flow.
    :param statuses: only runs that ended like this: ``SUCCEEDED``, ``FAILED`` (a cancelled run is one, too), or both.
        Default: ``SUCCEEDED``.
    :param label: only runs whose label matches this glob.
    """

    service = "ended-runs"

    def __init__(
        self,
        *,
        flow: str,
        statuses: Sequence[str] = ("SUCCEEDED",),
        label: str | None = None,
        globus_conn_id: str = "globus_default",
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__(globus_conn_id=globus_conn_id, poll_interval=poll_interval)
        self.flow = flow
        self.statuses = sorted(statuses)
        self.label = label
        if not self.statuses or not {*self.statuses} <= _ENDS:
            raise self.refuse(f"statuses {statuses!r} are no ends of a run.", "Choose from FAILED and SUCCEEDED.")
        self._flow_id = ""

    def watched(self) -> dict[str, Any]:
        """The runs."""
        return {"flow": self.flow, "statuses": self.statuses, "label": self.label}

    def subject(self, hook: GlobusHook) -> str:
        """The runs that ended within the last minutes."""
        self._web_app_url = hook.settings.web_app_url
        self._flow_id = hook.flow(self.flow)
        return self._reaching(lately=self.lately)

    def since(self, begin: float) -> str:
        """The runs that ended since a time."""
        return self._reaching(since=begin)

    def concerns(self, one: Mapping[str, Any]) -> bool:
        """Whether it ended as wanted."""
        return one["status"] in self.statuses and (
            self.label is None or fnmatch.fnmatchcase(one["label"] or "", self.label)
        )

    def url(self, one: Mapping[str, Any]) -> str:
        """The run's page."""
        from airflow_provider_globus.jobs.flows import FlowRuns

        return FlowRuns().url(self._web_app_url, one["id"])

    def _reaching(self, **back: float) -> str:
        from airflow_provider_globus.jobs.base import look_id

        return look_id({"flow_id": self._flow_id, **back})

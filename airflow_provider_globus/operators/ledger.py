"""
The ledger: what an Airflow task durably knows of its own job, so that no try submits what another has submitted.

It is written before the request leaves, survives the worker and the deferral, and tells a retry from a rerun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

if TYPE_CHECKING:
    import logging

    from airflow.sdk import Context

_KEY = "globus_job"
_PART_KEY = "globus_part_{}"
_PART_ENVELOPE = 256


@dataclass
class Entry:
    """
    A submission.

    :param key: what makes Globus accept the submission only once, when the service has such a thing.
    :param fingerprint: digest of the operator's arguments; a changed one asks for another job.
    :param generation: changes when a user clears the task, and stays the same over Airflow's own retries.
    :param job_ids: ids at Globus, as it accepts them.
    :param sent: all of the submission has been accepted.
    :param adopted: the job was found running and was not submitted by this task: it is not ours to cancel.
    :param closed: this task has given the job up; a retry submits a new one.
    :param ended: the job has succeeded; a retry after a crash at the very end takes its result.
    :param notes: what the operator wants to remember for the result.
    """

    key: str | None
    fingerprint: str
    generation: int
    job_ids: list[str] = field(default_factory=list)
    sent: bool = False
    adopted: bool = False
    closed: bool = False
    ended: bool = False
    notes: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """
    The entry of one Airflow task instance, in Airflow's task state store.

    Airflow 3.2 has no such store: there XComs hold the entry, which outlive a deferral, though not a try. A crash is
    then not remembered, which a log line says, and Globus's own refusal of identical transfers is what remains.

    :param resumed: the task comes back from a deferral.
    """

    def __init__(
        self, context: Context | Mapping[str, Any], log: logging.Logger | Any, *, resumed: bool = False
    ) -> None:
        self._resumed = resumed
        self._saved: dict[str, Any] = {}
        self._store: Any = context.get("task_state_store")
        self.ti: Any = context["ti"]
        self.generation = int(getattr(context["ti"], "max_tries", 0) or 0)
        if self._store is None:
            log.info(
                "This Airflow has no task state store (new in 3.3): "
                "if the worker dies, the next try cannot know what this one submitted."
            )

    def read(self) -> Entry | None:
        """The entry that an earlier try, or this one before it was deferred, has left."""
        stored = self._load(_KEY)
        if not isinstance(stored, dict):
            return None
        known = {f.name for f in fields(Entry)}
        return Entry(**{name: value for name, value in stored.items() if name in known})

    def write(self, entry: Entry) -> None:
        """Make an entry durable."""
        self._save(_KEY, asdict(entry))

    def close(self) -> None:
        """Note that the job was given up."""
        if (entry := self.read()) is not None:
            self.write(replace(entry, closed=True))

    def end(self) -> None:
        """Note that the job has succeeded."""
        if (entry := self.read()) is not None:
            self.write(replace(entry, ended=True))

    def keep(self, fingerprint: str, items: Sequence[Any]) -> None:
        """
        Keep what has been brought so far, beside what was kept before.

        :param fingerprint: of the operator's arguments: what another job brought is not given back.
        :param items: JSON; spread over as many entries as Airflow's limit on their size asks for.
        """
        number = len(self._parts(fingerprint))
        for part in _split(items):
            value = {"fingerprint": fingerprint, "generation": self.generation, "items": part}
            self._save(_PART_KEY.format(number), value)
            number += 1

    def kept(self, fingerprint: str) -> list[Any]:
        """All that was kept for these arguments since the task was last cleared."""
        return [item for part in self._parts(fingerprint) for item in part["items"]]

    def _parts(self, fingerprint: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        while isinstance(part := self._load(_PART_KEY.format(len(parts))), dict):
            if (part["fingerprint"], part["generation"]) != (fingerprint, self.generation):
                break
            parts.append(part)
        return parts

    def _load(self, key: str) -> Any:
        if self._store is not None:
            return self._store.get(key)
        # At the beginning of a try there is none, and Airflow would log an XCom that is not there as an error.
        if key in self._saved or not self._resumed:
            return self._saved.get(key)
        return self.ti.xcom_pull(task_ids=self.ti.task_id, key=key, map_indexes=self.ti.map_index)

    def _save(self, key: str, value: Any) -> None:
        if self._store is not None:
            self._store.set(key, value)
        else:
            self._saved[key] = value
            self.ti.xcom_push(key=key, value=value)

    def is_rerun(self, entry: Entry) -> bool:
        """
        Whether a user cleared the task since the entry was written.

        Airflow raises ``max_tries`` when a task is cleared, and never on a retry of its own.
        """
        return entry.generation != self.generation


def _split(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Groups of items, each below the size from which on Airflow warns, or one alone."""
    limit = conf.getint("state_store", "max_value_storage_bytes", fallback=65535) or 4_000_000
    part: list[Any] = []
    size = _PART_ENVELOPE
    for item in items:
        needed = len(json.dumps(item)) + 2
        if part and size + needed > limit:
            yield part
            part, size = [], _PART_ENVELOPE
        part.append(item)
        size += needed
    if part:
        yield part

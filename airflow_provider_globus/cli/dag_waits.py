"""
What of a DAG waits for Globus, as far as its file says: tasks, mapped tasks, and the watchers of its assets.

What a task asks besides its looks, ``_BESIDES`` says for each class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset
from airflow.sdk.bases.operator import get_merged_defaults

from airflow_provider_globus.cli.definition import ASSUMED_MAPPED
from airflow_provider_globus.costs import Waiting, calls_a_round, is_look
from airflow_provider_globus.operators import transfer
from airflow_provider_globus.operators.compute_base import GlobusComputeTaskOperator
from airflow_provider_globus.operators.compute_map import GlobusComputeMapOperator
from airflow_provider_globus.operators.deferral import default_deferrable
from airflow_provider_globus.operators.flow_runs import GlobusRunFlowOperator
from airflow_provider_globus.operators.job import GlobusJobOperator
from airflow_provider_globus.operators.manifests import GlobusVerifyManifestOperator
from airflow_provider_globus.operators.prune import GlobusSafePruneOperator
from airflow_provider_globus.operators.search import GlobusSearchIngestOperator
from airflow_provider_globus.sensors.base import GlobusJobSensor
from airflow_provider_globus.sensors.compute import GlobusComputeTaskSensor
from airflow_provider_globus.sensors.flows import GlobusFlowRunSensor, GlobusWebInputSensor
from airflow_provider_globus.sensors.path import GlobusPathSensor

if TYPE_CHECKING:
    from airflow.sdk import DAG, AssetWatcher


class _Arguments:
    """
    The arguments of a task, mapped or not, as far as the DAG file says them.

    :param task: a task of a DAG.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self.cls: type = task.operator_class if task.is_mapped else type(task)
        self._partial: dict[str, Any] = {}
        if task.is_mapped:
            # Airflow gives a mapped task the defaults of its DAG and group only when it makes an operator of it.
            defaults, _ = get_merged_defaults(task.dag, task.task_group, None, None)
            self._partial = {**defaults, **task.partial_kwargs}

    def get(self, name: str) -> Any:
        """An argument; its default when it is mapped over or left out."""
        if not self._task.is_mapped:
            return getattr(self._task, name, None)
        return self._partial.get(name, self._default(name))

    def number(self, name: str) -> float:
        """An argument that is a number."""
        return float(self.get(name))

    def length(self, name: str) -> int | None:
        """How many items an argument has; ``None`` when only the run will tell."""
        value = self.get(name)
        if isinstance(value, str):
            return None if "{{" in value else 1
        return len(value) if isinstance(value, Sequence) else None

    def _default(self, name: str) -> Any:
        for cls in self.cls.__mro__:
            parameter = inspect.signature(cls.__init__).parameters.get(name)  # type: ignore[misc]
            if parameter is not None and parameter.default is not parameter.empty:
                return parameter.default
        return None


def _transfer(task: _Arguments) -> int:
    """Look each collection up, look at paths whose kind was said, reserve, submit, and list what was copied."""
    collections = len({task.get("source_collection"), task.get("destination_collection")} - {None})
    items = task.get("items")
    if isinstance(items, Sequence) and not isinstance(items, str):
        stated = sum(isinstance(item, Mapping) and "recursive" in item for item in items)
    else:
        stated = int(task.get("recursive") is not None)
    return max(1, collections) + min(stated, transfer.CHECKED_ITEMS) + 2 + bool(task.get("return_files"))


def _verify(task: _Arguments) -> int:
    """Look the collection up and list it, look up where copies go, reserve and submit."""
    return 5


def _delete(task: _Arguments) -> int:
    """Look the collection up, reserve and submit."""
    return 3


def _prune(task: _Arguments) -> int:
    """Look up both collections, list both sides, read the transfers that verify, reserve and submit."""
    verified = 0 if task.get("verified_by") is None else 2 * (task.length("verified_by") or 1)
    return 6 + verified


def _compute(task: _Arguments) -> int:
    """Ask whether the endpoint is online, open a task group, submit."""
    return bool(task.get("require_online")) + bool(task.get("exactly_once")) + 1


def _run_flow(task: _Arguments) -> int:
    """Look the flow up, check the input, start; read the rest of the log and the output."""
    return 4 + (task.get("output_path") is not None)


def _flow_run_sensor(task: _Arguments) -> int:
    """Read the rest of the log, and the output."""
    return 1 + (task.get("output_path") is not None)


def _look_up(task: _Arguments) -> int:
    """Look the collection up, or submit what fits into one request."""
    return 1


#: By class, for it and those that derive from it; what is missing asks nothing besides. Names are taken to be aliases
#: or UUIDs, functions to be registered and consents to be given, as they are from the first run on.
_BESIDES: Mapping[type, Callable[[_Arguments], int]] = {
    transfer.GlobusTransferOperator: _transfer,
    transfer.GlobusDeleteOperator: _delete,
    GlobusSafePruneOperator: _prune,
    GlobusVerifyManifestOperator: _verify,
    GlobusComputeTaskOperator: _compute,
    GlobusRunFlowOperator: _run_flow,
    GlobusSearchIngestOperator: _look_up,
    GlobusPathSensor: _look_up,
    GlobusFlowRunSensor: _flow_run_sensor,
}


def waits_of(dag: DAG, mapped: int = ASSUMED_MAPPED) -> list[Waiting]:
    """
    All of a DAG that waits for Globus.

    :param mapped: how many mapped tasks, or inputs of one task, are assumed where the DAG does not say.
    """
    tasks = [task for task in dag.tasks if _waits(_Arguments(task))]
    counts = _counts(dag) if tasks else {}
    return [*(_waiting(task, counts.get(task.task_id, 1), mapped) for task in tasks), *_watchers(dag)]


def _waits(task: _Arguments) -> bool:
    if issubclass(task.cls, GlobusVerifyManifestOperator) and task.get("reread_to") is None:
        return False
    if issubclass(task.cls, GlobusJobOperator):
        return bool(task.get("wait_for_completion"))
    return issubclass(task.cls, GlobusJobSensor)


def _waiting(task: Any, count: int | None, mapped: int) -> Waiting:
    told = _Arguments(task)
    deferrable = told.get("deferrable")
    is_job = issubclass(told.cls, GlobusJobOperator)
    look, jobs = told.cls.service_name, 1  # type: ignore[attr-defined]
    assumed = count is None
    if issubclass(told.cls, GlobusWebInputSensor) and told.get("web_input_id") is not None:
        look = "web-inputs (answers)"
    many = {GlobusComputeMapOperator: "inputs", GlobusComputeTaskSensor: "compute_task_ids"}
    if name := next((name for cls, name in many.items() if issubclass(told.cls, cls)), None):
        length = told.length(name)
        jobs, assumed = (mapped, True) if length is None else (length, assumed)
    deferred = bool(default_deferrable() if deferrable is None else deferrable)
    return Waiting(
        name=task.task_id,
        kind=told.cls.__name__,
        look=look,
        conn_id=str(told.get("globus_conn_id")),
        deferred=deferred,
        interval=told.number("poll_interval" if is_job else "poke_interval"),
        tasks=mapped if count is None else count,
        jobs=jobs,
        assumed=assumed,
        beside=next((ask(told) for cls in told.cls.__mro__ if (ask := _BESIDES.get(cls))), 0),
        worker_wait=told.number("worker_wait") if is_job and deferred else 0.0,
        role="job" if is_job else "sensor",
        pool=str(task.pool),
    )


def _counts(dag: DAG) -> dict[str, int | None]:
    """How many tasks each mapped one becomes, by Airflow's own count; ``None`` when only the run will tell."""
    from airflow.exceptions import NotMapped
    from airflow.models.expandinput import NotFullyPopulated
    from airflow.serialization.serialized_objects import DagSerialization

    counts: dict[str, int | None] = {}
    for task in DagSerialization.from_dict(DagSerialization.to_dict(dag)).tasks:
        try:
            counts[task.task_id] = task.get_parse_time_mapped_ti_count()
        except NotMapped:
            counts[task.task_id] = 1
        except NotFullyPopulated:
            counts[task.task_id] = None
    return counts


def _watchers(dag: DAG) -> list[Waiting]:
    """The watchers of the assets that the DAG is scheduled on, as far as they are this provider's."""
    watchers = (watcher for asset in _assets(dag.timetable) for watcher in asset.watchers)
    return [_watcher(watcher) for watcher in watchers if is_look(getattr(watcher.trigger, "service", ""))]


def _assets(schedule: Any) -> Iterator[Asset]:
    """The assets of a timetable, or of a condition that others are parts of."""
    if isinstance(schedule, Asset):
        yield schedule
    parts = [getattr(schedule, "asset_condition", None), *getattr(schedule, "objects", ())]
    for part in parts:
        if part is not None:
            yield from _assets(part)


def _watcher(watcher: AssetWatcher) -> Waiting:
    told: Any = watcher.trigger
    return Waiting(
        name=watcher.name,
        kind=type(told).__name__,
        look=told.service,
        conn_id=told.globus_conn_id,
        deferred=True,
        interval=float(told.poll_interval),
        # It looks at once when it begins.
        beside=calls_a_round(told.service, 1),
        role="watcher",
    )

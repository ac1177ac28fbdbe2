"""What has become of the many inputs of one map: a ledger of results and failures, in any order they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_globus.compute.failures import Failure

#: Failures that an error lists one by one.
_LISTED = 5


class Settled(NamedTuple):
    """
    A task that has ended; JSON as a list, to be kept between processes.

    :param number: which input, if that can be told: of a failed task of an adopted submission it cannot.
    """

    task_id: str
    number: int | None
    document: dict[str, Any]


class FailedItem(NamedTuple):
    """An input whose function failed; ``number`` is ``None`` when only the number of such inputs is known."""

    number: int | None
    task_id: str
    failure: Failure


class Items:
    """
    Results and failures by input.

    A later success of an input replaces its failure; a failure never replaces a success.

    :param count: how many inputs there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.results: dict[int, Any] = {}
        self.task_ids: set[str] = set()
        self._failed: list[FailedItem] = []

    def succeed(self, task_id: str, number: int, value: Any) -> None:
        """Note a result."""
        self.task_ids.add(task_id)
        self.results[number] = value

    def fail(self, task_id: str, number: int | None, failure: Failure) -> None:
        """Note a failure."""
        self.task_ids.add(task_id)
        self._failed.append(FailedItem(number, task_id, failure))

    @property
    def missing(self) -> list[int]:
        """Inputs without a result, in order."""
        return [index for index in range(self.count) if index not in self.results]

    def failures(self, task_ids: Iterable[str]) -> list[FailedItem]:
        """What failed among these tasks and has no result yet, in the order of the inputs."""
        wanted = set(task_ids)
        found = [item for item in self._failed if item.task_id in wanted and item.number not in self.results]
        return sorted(found, key=lambda item: (item.number is None, item.number or 0))


def described(failed: Sequence[FailedItem]) -> str:
    """The failures in a few lines: how often each kind, and the first ones in full."""
    kinds = Counter(item.failure.code for item in failed)
    lines = ["By kind: " + ", ".join(f"{count} {code}" for code, count in kinds.most_common())]
    for item in failed[:_LISTED]:
        which = f"input {item.number}" if item.number is not None else "one of the inputs"
        lines.append(f"{which} (task {item.task_id}): {item.failure}")
    if len(failed) > _LISTED:
        lines.append(f"and {len(failed) - _LISTED} more; all are in the XCom 'failures'")
    return "\n  ".join(lines)

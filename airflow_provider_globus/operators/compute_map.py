"""Many inputs, one Airflow task: a function is run over a list on a Compute endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_globus.exceptions import GlobusResultError, GlobusSubmissionUnknownError
from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.operators.compute_base import GlobusComputeTaskOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.compute.functions import FunctionCode
    from airflow_provider_globus.compute.items import FailedItem, Items, Settled
    from airflow_provider_globus.compute.payloads import Arguments

#: Tracebacks that the log shows, one for each kind of failure.
_TRACEBACKS = 3


class GlobusComputeMapOperator(GlobusComputeTaskOperator):
    """
    Run a function over a list of inputs on a Globus Compute endpoint; return the results in the order of the inputs.

    All inputs travel in as few submissions as Compute's limit of 10 MB allows, and one status call asks after all of
    them. Prefer it to a mapped task (``.expand``) for more than a few dozen inputs: an identity has 20 requests in ten
    seconds. A failed input has ``None`` for a result and is described in the XCom ``failures``.

    Results that have come are made durable as they come. When the task fails and Airflow retries it, only the inputs
    that have no result are run again; when a user clears it, all are.

    With ``function_id``, tasks can be told apart by the answer to their submission only: when that is lost, the task
    fails rather than guess which result belongs to which input. With ``python_callable`` each result says so itself: a
    sensor that waits for the tasks of ``wait_for_completion=False`` sees ``[number of the input, result]``.

    On MySQL, a deferred task's column holds the ids of some 1,200 tasks; for more, use ``deferrable=False`` there.

    :param inputs: a list; also from XCom.
    :param python_callable: a function, or the path of one that the endpoint can import: ``"package.module:function"``.
    :param function_id: UUID of a registered function, instead of ``python_callable``.
    :param unpack: how an input becomes arguments: as the first one (default), as all positional ones (``args``), or as
        keyword arguments (``kwargs``).
    :param op_kwargs: keyword arguments that are the same for all inputs.
    :param max_failed: succeed although so many inputs have failed.
    :param item_retries: how often failed inputs are run again within this try.
    """

    template_fields: Sequence[str] = (
        *GlobusComputeTaskOperator.template_fields,
        "inputs",
        "op_kwargs",
    )
    template_fields_renderers = {  # noqa: RUF012
        **GlobusComputeTaskOperator.template_fields_renderers,
        "op_kwargs": "py",
    }

    def __init__(
        self,
        *,
        inputs: Any,
        python_callable: Callable[..., Any] | str | None = None,
        function_id: str | None = None,
        unpack: Literal["args", "kwargs"] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        max_failed: int = 0,
        item_retries: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.choose(python_callable, function_id)
        self.inputs = inputs
        self.unpack = unpack
        self.op_kwargs = op_kwargs or {}
        self.max_failed = max_failed
        self.item_retries = item_retries
        if unpack not in (None, "args", "kwargs"):
            raise self.refuse(f"unpack {unpack!r} is unknown.", "Use 'args', 'kwargs', or leave it out.")
        if max_failed < 0 or item_retries < 0:
            raise self.refuse("max_failed and item_retries must not be below 0.")
        self._todo: list[int] = []
        self._round = 0

    # What is run

    def function(self) -> FunctionCode | str:
        """The function's code, made to say which input a result belongs to; or the id of a registered function."""
        function = super().function()
        return function if isinstance(function, str) else function.for_items()

    def calls(self) -> list[Arguments]:
        """A call for each input that has to be run."""
        from airflow_provider_globus.compute.payloads import Arguments

        calls = []
        for index in self._todo:
            args, kwargs, _ = self._arguments(index)
            self.check_fit(args, kwargs, f"input {index} does")
            tag = [index] if self.function_id is None else []
            calls.append(Arguments([*tag, *args], kwargs, f" of input {index}"))
        return calls

    def _arguments(self, index: int) -> Arguments:
        from airflow_provider_globus.compute.payloads import Arguments

        item, common = self._inputs[index], dict(self.op_kwargs)
        try:
            if self.unpack == "args":
                return Arguments(list(item), common)
            if self.unpack == "kwargs":
                return Arguments([], {**common, **item})
        except TypeError:
            wanted = "a list" if self.unpack == "args" else "a dict"
            found = type(item).__name__
            raise self.refuse(f"input {index} is {found}, but unpack={self.unpack!r} needs {wanted}.") from None
        return Arguments([item], common)

    @cached_property
    def _inputs(self) -> list[Any]:
        if isinstance(self.inputs, (str, bytes)) or not isinstance(self.inputs, Sequence):
            raise self.refuse(
                f"inputs is {type(self.inputs).__name__}, not a list.",
                "Pass a list or a task's output; a template renders to text unless the DAG has "
                "render_template_as_native_obj=True.",
            )
        return list(self.inputs)

    # Submission

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """The inputs that have no result yet."""
        self._todo = self._entry.notes["indices"] if self._entry is not None else self._items.missing
        done = self._items.count - len(self._todo)
        if done:
            self.log.info("%d of %d inputs have their result already.", done, self._items.count)
        return self.document() if self._todo else None

    def notes(self) -> dict[str, Any]:
        """Which inputs the submission is for."""
        return {"indices": self._todo, "round": self._round}

    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """Submit, and see that tasks can be told apart."""
        accepted = super().submit(document, key)
        assert self._entry is not None
        if self.function_id is not None and not self._entry.notes.get("ordered", True):
            raise GlobusSubmissionUnknownError(
                f"The answer to a submission was lost, so which of {self._named(self._entry)} belongs to which input "
                "cannot be told.",
                advice="Clear the task to run all inputs again, or use python_callable: its results say it themselves.",
            )
        number = len(document["batches"])
        self.log.info("%d inputs in %s.", len(accepted), "one submission" if number == 1 else f"{number} submissions")
        return accepted

    # Waiting

    def rules(self) -> dict[str, Any]:
        """Hand over what has ended, and let this operator judge it."""
        return {"collect": True, "ended_before": len(self._job_ids) - len(self.waiting_for())}

    def waiting_for(self) -> list[str]:
        """Tasks that have not been seen to end."""
        return [task_id for task_id in self._job_ids if task_id not in self._items.task_ids]

    def take(self, verdict: Verdict) -> bool:
        """Make durable what has ended; run failed inputs again when there are retries left."""
        from airflow_provider_globus.compute.items import Settled

        assert self._ledger is not None
        ended = verdict.result.get("documents", {}).items()
        settled = [Settled(task_id, self._index_of(task_id, document), document) for task_id, document in ended]
        self._ledger.keep(self._fingerprint(), [list(item) for item in settled])
        for item in settled:
            self._note(self._items, item)
        if verdict.outcome == Outcome.PARTIAL:
            self.log.info("Took over %d results; %d to come.", len(settled), len(self.waiting_for()))
            return True
        failed = self._failures()
        self._show(failed)
        if verdict.outcome != Outcome.SUCCEEDED or not failed or self._round_of_entry() >= self.item_retries:
            return False
        self._run_again(len(failed))
        return True

    def _run_again(self, count: int) -> None:
        assert self._ledger is not None
        self._round = self._round_of_entry() + 1
        self.log.warning("Running %d failed inputs again (%d of %d).", count, self._round, self.item_retries)
        self._entry, self._resumed = None, False
        self._todo = self._items.missing
        self._submit(self._ledger, self.document())

    def _round_of_entry(self) -> int:
        return int(self._entry.notes.get("round", 0)) if self._entry else 0

    # Results

    @cached_property
    def _items(self) -> Items:
        from airflow_provider_globus.compute.items import Items, Settled

        items = Items(len(self._inputs))
        if self._ledger is not None:
            for kept in self._ledger.kept(self._fingerprint()):
                self._note(items, Settled(*kept))
        return items

    def _note(self, items: Items, settled: Settled) -> None:
        from airflow_provider_globus.compute.failures import failure_of
        from airflow_provider_globus.jobs.compute import succeeded

        if succeeded(settled.document):
            assert settled.number is not None
            items.succeed(settled.task_id, settled.number, self._value(settled.document))
        else:
            items.fail(settled.task_id, settled.number, failure_of(settled.document))

    def _index_of(self, task_id: str, document: Mapping[str, Any]) -> int | None:
        from airflow_provider_globus.jobs.compute import succeeded

        assert self._entry is not None
        if self.function_id is None and succeeded(dict(document)):
            return self._tagged(document)[0]
        if not self._entry.notes.get("ordered", True):
            return None
        return int(self._entry.notes["indices"][self._entry.job_ids.index(task_id)])

    def _value(self, document: Mapping[str, Any]) -> Any:
        from airflow_provider_globus.compute.payloads import unpack_result

        if self.function_id is not None:
            return unpack_result(document["result"], self.result_serializer)
        return self._tagged(document)[1]

    def _tagged(self, document: Mapping[str, Any]) -> tuple[int, Any]:
        """Read which input a result belongs to, and the result."""
        from airflow_provider_globus.compute.payloads import unpack_result

        found = unpack_result(document["result"], self.result_serializer)
        match found:
            case [int(index), value] if 0 <= index < len(self._inputs):
                return index, value
        raise GlobusResultError(
            f"The result of Compute task {document['task_id']} does not say which input it belongs to.",
            advice="The endpoint ran something else than what was sent: look at its configuration and log.",
        )

    def _failures(self) -> list[FailedItem]:
        return self._items.failures(self._job_ids)

    def _show(self, failed: Sequence[FailedItem]) -> None:
        kinds = {item.failure.code: item for item in reversed(failed)}
        for item in list(kinds.values())[:_TRACEBACKS]:
            self.log.warning("Input %s failed at the endpoint: %s", item.number, item.failure.text)

    def reconsider(self, verdict: Verdict) -> Verdict:
        """Judge the number of failed inputs."""
        failed = self._failures()
        if failed and self._ledger is not None:
            said = [
                {
                    "input": item.number,
                    "task_id": item.task_id,
                    "code": item.failure.code,
                    "reason": item.failure.reason,
                }
                for item in failed
            ]
            self._ledger.ti.xcom_push(key="failures", value=said)
        if verdict.outcome != Outcome.SUCCEEDED:
            return verdict
        if len(failed) <= self.max_failed:
            return verdict._replace(progress=f"{len(self._items.results)} of {self._items.count} inputs have a result")
        from airflow_provider_globus.compute.items import described

        why = (
            f"{len(failed)} of {self._items.count} inputs have failed, {self.max_failed} may. "
            f"A retry runs only those.\n  {described(failed)}"
        )
        return verdict._replace(outcome=Outcome.FAILED, message=why, code="INPUTS_FAILED")

    def result(self, verdict: Verdict) -> list[Any]:
        """The results in the order of the inputs; ``None`` for those that failed."""
        return [self._items.results.get(index) for index in range(self._items.count)]

"""Compute: the operators whose job is a function that runs on a Globus Compute endpoint."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.compute_base import GlobusComputeTaskOperator
from airflow_provider_globus.operators.compute_map import GlobusComputeMapOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.compute.payloads import Arguments

__all__ = [
    "GlobusComputeMapOperator",
    "GlobusComputeOperator",
    "GlobusComputeRegisterFunctionOperator",
    "GlobusComputeShellOperator",
]


class GlobusComputeOperator(GlobusComputeTaskOperator):
    """
    Run a Python function on a Globus Compute endpoint, and return its result.

    The source of ``python_callable`` travels, without its decorators. It must stand on its own: import inside the
    function, and take all else as arguments. Remote tracebacks are written to the task's log.

    :param python_callable: a function, or the path of one that the endpoint can import: ``"package.module:function"``.
    :param function_id: UUID of a registered function, instead of ``python_callable``.
    :param op_args: positional arguments; also from XCom.
    :param op_kwargs: keyword arguments; also from XCom.
    """

    template_fields: Sequence[str] = (
        *GlobusComputeTaskOperator.template_fields,
        "op_args",
        "op_kwargs",
    )
    template_fields_renderers = {  # noqa: RUF012
        **GlobusComputeTaskOperator.template_fields_renderers,
        "op_args": "py",
        "op_kwargs": "py",
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any] | str | None = None,
        function_id: str | None = None,
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.choose(python_callable, function_id)
        self.op_args = op_args or []
        self.op_kwargs = op_kwargs or {}

    def calls(self) -> list[Arguments]:
        """The one call."""
        from airflow_provider_globus.compute.payloads import Arguments

        self.check_fit(self.op_args, self.op_kwargs, "the arguments do")
        return [Arguments(list(self.op_args), dict(self.op_kwargs))]

    def take(self, verdict: Verdict) -> bool:
        """Show why it failed."""
        from airflow_provider_globus.compute.failures import failure_of

        if verdict.outcome == Outcome.FAILED:
            for task_id, document in verdict.result["documents"].items():
                self.log.error("Compute task %s failed at the endpoint:\n%s", task_id, failure_of(document).text)
        return False

    def result(self, verdict: Verdict) -> Any:
        """What the function returned."""
        from airflow_provider_globus.compute.payloads import unpack_result

        (document,) = verdict.result["documents"].values()
        return unpack_result(document["result"], self.result_serializer)


class GlobusComputeShellOperator(GlobusComputeOperator):
    """
    Run a command line on a Globus Compute endpoint; a return code other than 0 fails the task.

    Returns ``command``, ``returncode``, and the last lines of ``stdout`` and ``stderr``, which are also written to the
    task's log.

    :param command: for ``/bin/bash``; templated. It runs in the endpoint's working directory for the task.
    :param walltime: seconds after which the command is ended, with return code 124.
    :param mpi: start the command with the endpoint's MPI launcher, by ``resource_specification``.
    :param output_lines: lines of each stream that come back at most.
    """

    template_fields: Sequence[str] = (*GlobusComputeTaskOperator.template_fields, "command")
    template_ext: Sequence[str] = (".sh", ".bash")
    template_fields_renderers = {  # noqa: RUF012
        **GlobusComputeTaskOperator.template_fields_renderers,
        "command": "bash",
    }

    def __init__(
        self,
        *,
        command: str,
        walltime: float | None = None,
        mpi: bool = False,
        output_lines: int = 100,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_globus.compute.remote import run_command

        super().__init__(python_callable=run_command, **kwargs)
        self.command = command
        self.walltime = walltime
        self.mpi = mpi
        self.output_lines = output_lines
        if walltime is not None and walltime <= 0:
            raise self.refuse("walltime must be above 0 seconds.")
        if mpi and not self.resource_specification:
            raise self.refuse("mpi=True needs a resource_specification.", 'For example {"num_nodes": 2}.')

    def calls(self) -> list[Arguments]:
        """The command as the one call's arguments."""
        from airflow_provider_globus.compute.payloads import Arguments

        if not isinstance(self.command, str) or not self.command.strip():
            raise self.refuse("command is empty.")
        return [Arguments([self.command, self.walltime, self.mpi, self.output_lines], {})]

    def reconsider(self, verdict: Verdict) -> Verdict:
        """Show the output, and judge the return code."""
        if verdict.outcome != Outcome.SUCCEEDED:
            return verdict
        said = self.result(verdict)
        for stream in ("stdout", "stderr"):
            if text := said[stream].rstrip():
                self.log.info("The last lines of %s:\n%s", stream, text)
        code = said["returncode"]
        if code == 0:
            return verdict
        if code == 124 and self.walltime is not None:
            why = f"The command was ended after its walltime of {self.walltime:g} s: allow it more."
        else:
            tail = "\n  ".join(said["stderr"].strip().splitlines()[-5:])
            why = f"The command returned {code}." + (f" The end of stderr:\n  {tail}\n" if tail else "")
        return verdict._replace(outcome=Outcome.FAILED, message=why, code=f"RETURNCODE_{code}")


class GlobusComputeRegisterFunctionOperator(GlobusOperator):
    """
    Register a function at Globus Compute and return its id, for other DAGs, flows and endpoints' lists.

    The same content is registered once and its id returned from then on.

    :param python_callable: a function, or the path of one that the endpoint can import.
    :param description: what people see of it; default: its docstring.
    :param public: let every Globus user run it.
    :param group: UUID of a Globus group whose members may run it.
    """

    template_fields: Sequence[str] = ("description", "group", "globus_conn_id")
    shallow_copy_attrs: Sequence[str] = ("python_callable",)

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any] | str,
        description: str | None = None,
        public: bool = False,
        group: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.python_callable = python_callable
        self.description = description
        self.public = public
        self.group = group
        if public and group:
            raise self.refuse("public and group exclude each other.")

    def execute(self, context: Context) -> str:
        """Register, unless that was done before and Globus still knows the function."""
        from airflow_provider_globus.compute.functions import function_code
        from airflow_provider_globus.compute.registry import FunctionRegistry

        if self.group is not None and not is_uuid(self.group):
            raise self.refuse(f"group {self.group!r} is no UUID.", "Give the id of a Globus group.")
        documented = inspect.getdoc(self.python_callable) if callable(self.python_callable) else None
        description = self.description or documented
        options = {"description": description, "public": self.public, "group": self.group}
        code = function_code(self.python_callable)
        client = self.hook.compute_client_v2()

        def known(function_id: str) -> str:
            self.hook.call(f"looking up the function {function_id}", client.get_function, function_id)
            return function_id

        function_id = FunctionRegistry(self.hook).use(code, known, **{k: v for k, v in options.items() if v})
        self.log.info("The function %s has the id %s.", code.name, function_id)
        return function_id

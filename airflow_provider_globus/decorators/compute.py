"""``@task.globus_compute``: a function of a DAG that runs on a Globus Compute endpoint."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from airflow_provider_globus.operators.compute import GlobusComputeOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator


class GlobusComputeDecoratedOperator(DecoratedOperator, GlobusComputeOperator):  # type: ignore[misc]
    """
    A TaskFlow function on a Globus Compute endpoint.

    Its source travels without its decorators, and its arguments with it: Airflow's context does not, so a parameter
    named like one of the context's keys has to be given a value.
    """

    template_fields: Sequence[str] = GlobusComputeOperator.template_fields
    custom_operator_name: str = "@task.globus_compute"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        arguments: dict[str, Any] = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=arguments, **arguments, **kwargs)
        if kwargs.get("_airflow_mapped_validation_only"):
            # Which parameters are mapped over is known later, when each instance is made.
            return
        given = inspect.signature(python_callable).bind_partial(*(op_args or ()), **(op_kwargs or {})).arguments
        for name in inspect.signature(python_callable).parameters:
            if name in KNOWN_CONTEXT_KEYS and name not in given:
                raise self.refuse(
                    f"the parameter {name!r} of {python_callable.__name__} asks for Airflow's context, which does not "
                    "travel to an endpoint.",
                    "Pass what the function needs as an argument of another name, for example day='{{ ds }}'.",
                )

    def execute(self, context: Context) -> Any:
        """Run it, and see to assets it returns."""
        return self._handle_output(GlobusComputeOperator.execute(self, context))

    def execute_complete(self, context: Context, event: Any) -> Any:
        """The same after a deferral."""
        return self._handle_output(GlobusComputeOperator.execute_complete(self, context, event))


def globus_compute_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """
    Make a function a task that runs on a Globus Compute endpoint.

    :param multiple_outputs: push each key of the returned dict as an XCom of its own.
    :param kwargs: arguments of :class:`~airflow_provider_globus.operators.compute.GlobusComputeOperator`, above all
        ``endpoint``.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=GlobusComputeDecoratedOperator,
        **kwargs,
    )

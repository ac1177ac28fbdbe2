"""Base of the Compute operators: one function, some calls of it, submitted to an endpoint exactly once."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.compute import RESULT_SERIALIZERS
from airflow_provider_globus.exceptions import (
    GlobusEndpointOfflineError,
    GlobusInputError,
    GlobusPermissionError,
)
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.links import GlobusComputeEndpointLink
from airflow_provider_globus.operators.job import GlobusJobOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.compute.functions import FunctionCode
    from airflow_provider_globus.compute.payloads import Arguments, ResultSerializer
    from airflow_provider_globus.compute.submission import TaskGroup
    from airflow_provider_globus.operators.ledger import Entry


class GlobusComputeTaskOperator(GlobusJobOperator):
    """
    Base of the operators that run functions on a Globus Compute endpoint.

    A function is submitted once, whatever dies: its task group is opened and made durable before the work is sent, and
    a retry looks into the group before it sends anything. Two windows are left, and each takes a lost answer or a dead
    worker besides. The service may accept a request later than the ten seconds for which the group is looked at: the
    function then runs twice. Or there is no group, since the endpoint runs listed functions only, or none was wanted
    (``exactly_once=False``): the task then fails rather than run the function twice.

    Globus Compute cannot cancel: a function runs to its end even when the Airflow task is killed, cleared or out of
    time. The log then names its task group. A retry after ``execution_timeout`` adopts what still runs.

    :param endpoint: UUID of the endpoint, alias of the connection, or unique display name.
    :param user_endpoint_config: values for the endpoint's configuration template, such as account, queue or walltime.
    :param resource_specification: what a task needs of an MPI engine, for example
        ``{"num_nodes": 2, "ranks_per_node": 4}``.
    :param result_serializer: ``json``: the result must be what JSON can hold, and reading it runs nothing. ``dill``:
        any Python object, but whoever controls the endpoint can then run code of their choosing in your Airflow
        workers, with all that these may do and see. Choose it only for endpoints that you trust as much as those.
    :param require_online: refuse to submit to an endpoint that is offline; Airflow's retries apply. ``False`` submits,
        and the function runs when the endpoint comes back, within two weeks.
    :param exactly_once: open a task group first, which costs one request and a function that does nothing.
    """

    template_fields: Sequence[str] = (
        "endpoint",
        "function_id",
        "user_endpoint_config",
        "resource_specification",
        "globus_conn_id",
    )
    template_fields_renderers = {"user_endpoint_config": "json", "resource_specification": "json"}  # noqa: RUF012
    shallow_copy_attrs: Sequence[str] = ("python_callable",)
    service_name = "compute"
    operator_extra_links = (GlobusComputeEndpointLink(),)
    ui_color = "#dce6f5"

    def __init__(
        self,
        *,
        endpoint: str,
        user_endpoint_config: Mapping[str, Any] | None = None,
        resource_specification: Mapping[str, Any] | None = None,
        result_serializer: ResultSerializer = "json",
        require_online: bool = True,
        exactly_once: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.python_callable: Callable[..., Any] | str | None = None
        self.function_id: str | None = None
        self.user_endpoint_config = user_endpoint_config
        self.resource_specification = resource_specification
        self.result_serializer = result_serializer
        self.require_online = require_online
        self.exactly_once = exactly_once
        if result_serializer not in RESULT_SERIALIZERS:
            raise self.refuse(f"result_serializer {result_serializer!r} is unknown.", "Use 'json' or 'dill'.")

    # What a subclass says

    @abstractmethod
    def calls(self) -> list[Arguments]:
        """The arguments of each call."""

    # Not an argument of the constructor: TaskFlow would add op_kwargs to it, which not all operators have.
    def choose(self, python_callable: Callable[..., Any] | str | None, function_id: str | None) -> None:
        """Set the function to run: one of the two."""
        if (python_callable is None) == (function_id is None):
            raise self.refuse("give either python_callable or function_id.")
        self.python_callable = python_callable
        self.function_id = function_id

    def function(self) -> FunctionCode | str:
        """The code of the function to run, checked, or the id of a registered one."""
        from airflow_provider_globus.compute.functions import function_code

        if self.python_callable is None:
            if not is_uuid(self.function_id):
                raise self.refuse(f"function_id {self.function_id!r} is no UUID.", "Pass what registration returned.")
            return str(self.function_id)
        try:
            return function_code(self.python_callable)
        except GlobusInputError as error:
            raise self.refuse(error.message, error.advice) from None

    def check_fit(self, args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> None:
        """Refuse arguments that the function does not take, as far as that can be known here."""
        if not callable(self.python_callable):
            return
        try:
            inspect.signature(self.python_callable).bind(*args, **kwargs)
        except TypeError as error:
            raise self.refuse(f"{what} not fit the function: {error}.") from None

    # Submission

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """What to submit."""
        return self.document()

    def document(self) -> dict[str, Any]:
        """The payloads of all calls, checked, in as few submissions as they fit into."""
        from airflow_provider_globus.compute.payloads import chunks, pack_arguments

        self.function()
        batches = chunks([pack_arguments(call) for call in self.calls()])
        # What an earlier try has sent already runs, or waits, in any case.
        if self.require_online and not self._resumed:
            self._check_endpoint()
        return {"batches": batches}

    def reserve(self) -> str | None:
        """Open the task group, if the endpoint lets us."""
        from airflow_provider_globus.compute.functions import function_code
        from airflow_provider_globus.compute.registry import FunctionRegistry
        from airflow_provider_globus.compute.remote import open_task_group
        from airflow_provider_globus.compute.submission import open_group

        if not self.exactly_once:
            return None
        opener = function_code(open_task_group)
        try:
            group = FunctionRegistry(self.hook).use(
                opener, lambda function_id: open_group(self.hook, self.endpoint_id, function_id, self._config())
            )
        except GlobusPermissionError as error:
            if error.code != "FUNCTION_NOT_PERMITTED":
                raise
            self.log.info("The endpoint runs listed functions only, so no task group is opened before the submission.")
            return None
        self.log.info("Opened the task group %s.", group.id)
        return str(group)

    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """Send what the task group does not have yet."""
        from airflow_provider_globus.compute.registry import FunctionRegistry

        function = self.function()
        if isinstance(function, str):
            return self._send(document, key, function)
        return FunctionRegistry(self.hook).use(function, lambda function_id: self._send(document, key, function_id))

    def _send(self, document: dict[str, Any], key: str | None, function_id: str) -> list[str]:
        from airflow_provider_globus.compute.payloads import result_strategies
        from airflow_provider_globus.compute.submission import Sender

        assert self._entry is not None
        body = self._config() | {"result_serializers": result_strategies(self.result_serializer)}
        if self.resource_specification:
            body["resource_specification"] = dict(self.resource_specification)
        sender = Sender(
            self.hook,
            self.endpoint_id,
            body,
            _parse_group(key),
            accepted=self._entry.job_ids,
            ordered=self._entry.notes.get("ordered", True),
            note=self._note_accepted,
            log=self.log,
            stop=self._killed,
        )
        return sender.send(function_id, document["batches"], resumed=self._resumed)

    def _note_accepted(self, task_ids: list[str], ordered: bool) -> None:
        assert self._entry is not None
        self._entry.job_ids = list(task_ids)
        if not ordered:
            self._entry.notes["ordered"] = False
        self.checkpoint()

    def _config(self) -> dict[str, Any]:
        return {"user_endpoint_config": dict(self.user_endpoint_config)} if self.user_endpoint_config else {}

    def _check_endpoint(self) -> None:
        client = self.hook.compute_client_v2()
        status = self.hook.call(
            f"asking after the Compute endpoint {self.endpoint!r}", client.get_endpoint_status, self.endpoint_id
        )
        if status["status"] != "online":
            raise GlobusEndpointOfflineError(
                f"The Compute endpoint {self.endpoint!r} ({self.endpoint_id}) is {status['status']}; "
                "nothing was submitted.",
                advice="Start it on its machine (globus-compute-endpoint start), put a GlobusComputeEndpointSensor "
                "before this task, or submit all the same with require_online=False.",
            )

    def _fingerprint(self) -> str:
        function = self.function()
        return f"{super()._fingerprint()}:{function if isinstance(function, str) else function.digest}"

    @cached_property
    def endpoint_id(self) -> str:
        """The endpoint's UUID."""
        if not isinstance(self.endpoint, str) or not self.endpoint:
            raise self.refuse(f"endpoint {self.endpoint!r} names no endpoint.", "Give its UUID or an alias.")
        return self.hook.compute_endpoint(self.endpoint)

    # What the user sees

    def url(self) -> str:
        """The endpoint's page in the web app: tasks have none."""
        return f"{self.hook.settings.web_app_url}/compute/endpoints/{self.endpoint_id}"

    def receipt(self) -> dict[str, Any]:
        """The ids, for a sensor."""
        return {"job_ids": self._job_ids, "task_group_id": self._group.id if self._group else None}

    @property
    def _group(self) -> TaskGroup | None:
        return _parse_group(self._entry.key) if self._entry else None

    def _announce(self, context: Context | Mapping[str, Any]) -> None:
        super()._announce(context)
        if self._group:
            context["ti"].xcom_push(key="globus_task_group_id", value=self._group.id)

    def _named(self, entry: Entry | None) -> str:
        group = _parse_group(entry.key) if entry else None
        return f"{super()._named(entry)} of task group {group.id}" if group else super()._named(entry)


def _parse_group(key: str | None) -> TaskGroup | None:
    from airflow_provider_globus.compute.submission import TaskGroup

    return TaskGroup.parse(key) if key else None

"""Sensors for Globus Flows: runs that somebody else started, and what runs ask people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.operators.flow_output import check_output_path, select_output
from airflow_provider_globus.sensors.base import GlobusJobSensor

if TYPE_CHECKING:
    from airflow_provider_globus.jobs.base import Verdict


class GlobusFlowRunSensor(GlobusJobSensor):
    """
    Wait for a flow run to succeed, and return the chosen part of its output; fail when it fails. Cancels nothing.

    States are written to the task's log as they are entered and left.

    :param run_id: id of the run; also from XCom: ``{{ ti.xcom_pull('run')['run_id'] }}`` of a
        ``GlobusRunFlowOperator`` with ``wait_for_completion=False``.
    :param output_path: JSONPath of the part of the output to return, as for ``GlobusRunFlowOperator``.
    :param inactive_grace: seconds that the run may stay suspended, for somebody to resume it. Default: an hour.
    """

    template_fields: Sequence[str] = ("run_id", "output_path", "globus_conn_id")
    service_name = "flows"

    def __init__(
        self, *, run_id: str, output_path: str | None = "$", inactive_grace: float = 3600.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.output_path = output_path
        self.inactive_grace = inactive_grace

    def job_ids(self) -> list[str]:
        """The run's id."""
        check_output_path(self.output_path, self.refuse)
        if not is_uuid(self.run_id):
            raise self.refuse(
                f"run_id {self.run_id!r} is no UUID.",
                "Pass the run_id of a run, for example {{ ti.xcom_pull('run')['run_id'] }}.",
            )
        return [self.run_id]

    def rules(self) -> dict[str, Any]:
        """How long the run may stay suspended."""
        return {"inactive_grace": self.inactive_grace}

    def last_news(self) -> list[str]:
        """The rest of the run's log."""
        return job_service(self.service_name).last_news(self.hook, self.run_id, self._memory)

    def result(self, verdict: Verdict) -> Any:
        """The chosen part of the run's output."""
        from airflow_provider_globus.jobs.flows import run_document

        if self.output_path is None:
            return dict(verdict.result)
        return select_output(run_document(self.hook, self.run_id), self.output_path)


class GlobusWebInputSensor(GlobusJobSensor):
    """
    Wait until a flow run asks people something, or until they have answered.

    Returns the question: ``web_input_id``, ``title``, ``options`` (each with ``option_id`` and ``label``), ``status``
    and the ``url`` where it is answered. Fails when the run ends without asking.

    :param run_id: id of the run that will ask; also from XCom. Its oldest open question is taken.
    :param web_input_id: instead of ``run_id``, id of a question that has been asked.
    :param wait_for: ``open``: until the run asks; needs ``run_id``. ``closed``: until the question is answered or has
        expired; needs ``web_input_id``. Globus tells the run how it was answered, and nobody else. Default: whichever
        goes with the id.
    """

    template_fields: Sequence[str] = ("run_id", "web_input_id", "globus_conn_id")
    service_name = "web-inputs"

    def __init__(
        self,
        *,
        run_id: str | None = None,
        web_input_id: str | None = None,
        wait_for: Literal["open", "closed"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.web_input_id = web_input_id
        self.wait_for = wait_for or ("open" if web_input_id is None else "closed")
        if (run_id is None) == (web_input_id is None):
            raise self.refuse("give either run_id or web_input_id.")
        if self.wait_for != ("open" if web_input_id is None else "closed"):
            raise self.refuse("run_id goes with wait_for='open', and web_input_id with wait_for='closed'.")

    def job_ids(self) -> list[str]:
        """What to wait for, as text."""
        wanted = self.run_id if self.wait_for == "open" else self.web_input_id
        if not is_uuid(wanted):
            name = "run_id" if self.wait_for == "open" else "web_input_id"
            raise self.refuse(f"{name} {wanted!r} is no UUID.", "Pass the id that an earlier task has returned.")
        return [f"{self.wait_for}:{wanted}"]

    def rules(self) -> dict[str, Any]:
        """Whether to wait for the question or for its answer."""
        return {"wait_for": self.wait_for}

"""Answers to what flow runs ask people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusConflictError, GlobusUnavailableError
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.jobs.flows import web_input_summary
from airflow_provider_globus.operators.base import GlobusOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GlobusRespondWebInputOperator(GlobusOperator):
    """
    Answer what a flow run asks, as the identity of this connection. Returns the label of the option.

    The flow must name that identity among its respondents. With Airflow's own ``HITLOperator`` before it, people
    answer in Airflow::

        asked = GlobusWebInputSensor(task_id="asked", run_id="{{ ti.xcom_pull('run')['run_id'] }}")
        approve = HITLOperator(task_id="approve", subject="Publish?", options=["Approve", "Reject"])
        GlobusRespondWebInputOperator(
            task_id="answer",
            web_input_id="{{ ti.xcom_pull('asked')['web_input_id'] }}",
            response="{{ ti.xcom_pull('approve')['chosen_options'][0] }}",
        )

    A question that was answered or has expired before is an error: Globus does not say how it was answered. Only when
    the confirmation of this task's own answer was lost, one that is closed then counts as answered by it.

    :param web_input_id: id of the question, for example from ``GlobusWebInputSensor``.
    :param response: the option to choose: its label, or its ``option_id``.
    """

    template_fields: Sequence[str] = ("web_input_id", "response", "globus_conn_id")

    def __init__(self, *, web_input_id: str, response: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.web_input_id = web_input_id
        self.response = response

    def execute(self, context: Context) -> str:
        """Choose the option."""
        if not is_uuid(self.web_input_id):
            raise self.refuse(
                f"web_input_id {self.web_input_id!r} is no UUID.", "Pass the web_input_id of a GlobusWebInputSensor."
            )
        client = self.hook.flows_client()
        asked = self.hook.call(f"looking up web input {self.web_input_id}", client.get_web_input, self.web_input_id)
        question = web_input_summary(asked)
        option = self._option(question)
        try:
            self._respond(question, option)
        except GlobusConflictError as error:
            raise GlobusConflictError(
                f"{error.message} It was answered or has expired before.",
                advice="See the run's log for what became of it; the run has gone on.",
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from None
        self.log.info("Answered %r with %r.", question["title"], option["label"])
        return str(option["label"])

    def _respond(self, question: dict[str, Any], option: dict[str, Any]) -> None:
        doing = f"answering {question['title']!r} with {option['label']!r}"
        arguments = (self.web_input_id, option["option_id"])
        try:
            self.hook.call(doing, self.hook.flows_client(resend=False).respond_to_web_input, *arguments)
            return
        except GlobusUnavailableError as error:
            # The service may have taken it without our hearing of it.
            self.log.warning("%s Answering again.", error.message)
        try:
            self.hook.call(doing, self.hook.flows_client().respond_to_web_input, *arguments)
        except GlobusConflictError as error:
            self.log.warning("%s That is taken for the answer whose confirmation was lost.", error.message)

    def _option(self, question: dict[str, Any]) -> dict[str, Any]:
        options: list[dict[str, Any]] = question["options"]
        chosen = [option for option in options if self.response in (option["option_id"], option["label"])]
        if len(chosen) != 1:
            labels = ", ".join(repr(option["label"]) for option in options)
            raise self.refuse(
                f"response {self.response!r} is {'no option' if not chosen else 'ambiguous'} of {question['title']!r}.",
                f"Choose from {labels}.",
            )
        return chosen[0]

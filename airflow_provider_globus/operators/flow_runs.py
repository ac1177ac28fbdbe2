"""Runs of Globus Flows: started exactly once, waited for, resumed and cancelled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.exceptions import (
    GlobusConflictError,
    GlobusConsentRequiredError,
    GlobusError,
    GlobusJobFailedError,
    GlobusJobRejectedError,
    GlobusUnavailableError,
)
from airflow_provider_globus.ids import is_uuid
from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.jobs.flows import ROLES, UNFINISHED, FlowRuns, run_document
from airflow_provider_globus.links import GlobusFlowRunLink
from airflow_provider_globus.looks import look_for
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.documents import read_json
from airflow_provider_globus.operators.flow_input import resolve_input
from airflow_provider_globus.operators.flow_output import check_output_path, select_output
from airflow_provider_globus.operators.job import GlobusJobOperator
from airflow_provider_globus.operators.labels import default_label
from airflow_provider_globus.operators.principals import principal_urns

if TYPE_CHECKING:
    import threading

    from airflow.sdk import Context

    from airflow_provider_globus.exceptions import GlobusJobError
    from airflow_provider_globus.hooks.globus import GlobusHook

NOTIFICATIONS = ("succeeded", "failed", "inactive")

#: Longest label that Flows is known to take everywhere.
LABEL_LENGTH = 64

#: Most tags and principals that Flows takes.
MOST_NAMED = 16

_TOKEN_LENGTH = 12

#: Times that a start is sent when no answer comes.
_STARTS = 3

#: Times that a run is resumed before whoever needs a consent is told.
_RESUMPTIONS = 5


class GlobusRunFlowOperator(GlobusJobOperator):
    """
    Run a flow, and wait for its end. Returns the chosen part of its output.

    A run is started once, whatever dies. Flows has no key that makes a start unique, so the run's label ends in a
    token that is made durable first, and after a lost answer or a death, runs with that label are looked for, for
    some ten seconds, before the start is sent again. What is left is a start that the service accepts later than that:
    then there are two runs, of which the newer is cancelled when a later try finds both.

    States are written to the task's log as they are entered and left. When a person has to answer something, the log
    says where. A run that Globus suspends is resumed if this connection's identity can give the consent it needs.

    :param flow: UUID of the flow, alias of the connection, or title of exactly one flow that this identity can see.
    :param body: the run's input, as the flow's input schema asks for it; also JSON text. Checked by Globus first. Where
        the schema has the format ``globus-collection``, a collection may be given by alias or name, and the flow is
        given the consent that it needs; with ``globus-principal``, a person by username.
    :param run_label: label of the run, shown in the web app; a token is added. Default: the DAG, task and run.
    :param tags: up to 16 words to find the run by.
    :param monitors: who may see the run: usernames or UUIDs of identities, or URNs of identities and groups.
    :param managers: who may also cancel and resume it.
    :param collections: further collections that the flow reads or writes: UUIDs, aliases or unique display names. The
        consent that they need is then given before the run; else Globus suspends the run until it is.
    :param output_path: JSONPath of the part of the output to return, such as ``$.Transfer.details.task_id``. A path
        to one place returns what is there, any other a list. Default: all of it. ``None``: nothing but what is known
        of the run.
    :param notify: events for which Globus sends e-mail to the identity: ``succeeded``, ``failed``, ``inactive``.
    :param inactive_grace: seconds that a run may stay suspended when this identity cannot give what it needs, for
        somebody to resume it in the web app. Default: none; the run is cancelled, and the task fails and says why.
    :param final_errors: errors of the flow, such as those of its ``Fail`` states, that another run would not change:
        the task then fails without Airflow's retries.
    """

    template_fields: Sequence[str] = (
        "flow",
        "body",
        "run_label",
        "tags",
        "monitors",
        "managers",
        "collections",
        "output_path",
        "globus_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"body": "json"}
    service_name = "flows"
    operator_extra_links = (GlobusFlowRunLink(),)
    ui_color = "#e4dcf5"

    def __init__(
        self,
        *,
        flow: str,
        body: Any = None,
        run_label: str | None = None,
        tags: Sequence[str] = (),
        monitors: Sequence[str] = (),
        managers: Sequence[str] = (),
        collections: Sequence[str] = (),
        output_path: str | None = "$",
        notify: Sequence[str] = (),
        inactive_grace: float = 0.0,
        final_errors: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow = flow
        self.body = body
        self.run_label = run_label
        self.tags = tags
        self.monitors = monitors
        self.managers = managers
        self.collections = collections
        self.output_path = output_path
        self.notify = notify
        self.inactive_grace = inactive_grace
        self.final_errors = final_errors
        if unknown := set(notify) - set(NOTIFICATIONS):
            raise self.refuse(f"notify does not know {', '.join(sorted(unknown))}.", f"Choose from {NOTIFICATIONS}.")
        if inactive_grace < 0:
            raise self.refuse("inactive_grace must not be below 0 seconds.")

    def rules(self) -> dict[str, Any]:
        """How long the run may stay suspended: not at all, before it was tried to resume it."""
        return {"inactive_grace": self.inactive_grace if self._memory.get("bearing") else 0.0}

    # Submission

    def prepare(self, context: Context) -> dict[str, Any]:
        """The request that starts the run, checked by Globus, which knows the input schema and who may start it."""
        check_output_path(self.output_path, self.refuse)
        body = self._body()
        for name, given in (("tags", self.tags), ("monitors", self.monitors), ("managers", self.managers)):
            if isinstance(given, str) or len(given) > MOST_NAMED:
                raise self.refuse(f"{name} must be a list of at most {MOST_NAMED}.")
        flow_id = self.hook.flow(self.flow)
        flow = self.hook.call(f"looking up the flow {self.flow!r}", self.hook.flows_client().get_flow, flow_id)
        for collection in self.collections:
            self.hook.use_collection(collection, flow_id=flow_id)
        request = {
            "body": resolve_input(self.hook, flow_id, flow.get("input_schema"), body),
            "label": self._label(context),
            "tags": list(self.tags),
            "run_monitors": principal_urns(self.hook, self.monitors),
            "run_managers": principal_urns(self.hook, self.managers),
            "activity_notification_policy": {"status": [event.upper() for event in self.notify]},
        }
        doing = f"checking the input for the flow {self.flow!r}"
        self.hook.call(doing, self.hook.specific_flow_client(flow_id).validate_run, **request)
        return {"flow_id": flow_id, "request": request}

    def reserve(self) -> str:
        """The token that ends the run's label."""
        return uuid.uuid4().hex[:_TOKEN_LENGTH]

    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """Start the run, unless one with this token is there."""
        starter = _Starter(self, document["flow_id"], document["request"], str(key), self._killed)
        return [starter.recover() or starter.start() if self._resumed else starter.start()]

    def _body(self) -> dict[str, Any]:
        body = read_json(self, "body", {} if self.body is None else self.body)
        if not isinstance(body, Mapping):
            raise self.refuse(f"body must be a dict, not {type(body).__name__}.")
        try:
            return dict(json.loads(json.dumps(body)))
        except (TypeError, ValueError) as error:
            raise self.refuse(f"body cannot be written as JSON: {error}.", "Use text, numbers, lists, dicts.") from None

    def _label(self, context: Context) -> str:
        label = default_label(context) if self.run_label is None else self.run_label
        # Room for the token, which a blank and brackets set apart.
        return label[: LABEL_LENGTH - _TOKEN_LENGTH - 3].strip()

    # End

    def take(self, verdict: Verdict) -> bool:
        """Resume a suspended run, when this identity can give what it needs."""
        if verdict.outcome != Outcome.INACTIVE or self._memory.get("bearing"):
            return False
        scope = verdict.result.get("required_scope")
        # Kept over deferrals, as the looks are: else each of them would begin anew.
        resumptions = self._memory.setdefault("resumptions", [])
        if scope in resumptions or len(resumptions) >= _RESUMPTIONS:
            return self._bear(verdict)
        resumptions.append(scope)
        self._memory.pop("suspended_since", None)
        if resume(self.hook, self._job_ids[0], verdict.result["flow_id"], scope, why=verdict.message):
            self.log.info("%s The consent is given and the run resumed.", verdict.message)
            return True
        return self._bear(verdict)

    def _bear(self, verdict: Verdict) -> bool:
        if not self.inactive_grace:
            return False
        self._memory["bearing"] = True
        self.log.warning("%s Somebody has to resume it at %s", verdict.message, self.url())
        return True

    def error(self, verdict: Verdict, why: str) -> GlobusJobError:
        """An error that Airflow retries, unless the author knows that another run would end the same."""
        error = super().error(verdict, why)
        if verdict.result.get("error") not in self.final_errors:
            return error
        return GlobusJobRejectedError(error.message, advice=error.advice, job_id=error.job_id, code=error.code)

    def receipt(self) -> dict[str, Any]:
        """Ids of the run and how to find it."""
        return {"run_id": self._job_ids[0], "job_ids": self._job_ids, "url": self.url()}

    def result(self, verdict: Verdict) -> Any:
        """The chosen part of the run's output."""
        if self.output_path is None:
            return dict(verdict.result)
        return select_output(run_document(self.hook, self._job_ids[0]), self.output_path)


class _Starter:
    """Starts one run; what could start it twice looks first."""

    def __init__(
        self,
        operator: GlobusRunFlowOperator,
        flow_id: str,
        request: dict[str, Any],
        token: str,
        stop: threading.Event,
    ) -> None:
        self._operator = operator
        self._hook = operator.hook
        self._flow_id = flow_id
        self._token = token
        self._stop = stop
        self._request = request | {"label": f"{request['label']} [{token}]"}

    def recover(self) -> str | None:
        """The run of an earlier try, whose request may still be on its way."""
        self._operator.log.info("Looking whether Globus has a run of an earlier try (%s).", self._request["label"])
        return self._look(at_once=True)

    def start(self) -> str:
        """Send the start until it is known to be accepted."""
        client = self._hook.specific_flow_client(self._flow_id, resend=False)
        doing = f"starting the flow {self._operator.flow!r}"
        for _ in range(_STARTS):
            try:
                return str(self._hook.call(doing, client.run_flow, **self._request)["run_id"])
            except GlobusUnavailableError as error:
                unanswered = error
            self._operator.log.warning("%s Looking whether the run was started.", unanswered.message)
            if run_id := self._look():
                return run_id
        raise unanswered

    def _look(self, *, at_once: bool = False) -> str | None:
        killed = GlobusJobFailedError("The task was killed before its run was known to have started.")
        runs = look_for(self._runs, stop=self._stop, killed=killed, at_once=at_once)
        if runs is None:
            return None
        oldest, *others = sorted(runs, key=lambda run: (run["start_time"], run["run_id"]))
        self._operator.log.info("Adopting run %s, which was started already.", oldest["run_id"])
        self._cancel(others)
        return str(oldest["run_id"])

    def _runs(self) -> list[dict[str, Any]]:
        client = self._hook.flows_client()
        answer = self._hook.call(
            f"looking for runs labelled {self._token}",
            client.list_runs,
            filter_flow_id=self._flow_id,
            filter_roles=ROLES,
            query_params={"filter_label": self._token, "per_page": 100},
        )
        return [run for run in answer["runs"] if str(run.get("label", "")).endswith(f"[{self._token}]")]

    def _cancel(self, runs: Sequence[Mapping[str, Any]]) -> None:
        for run in runs:
            if run["status"] in UNFINISHED:
                said = FlowRuns().cancel(self._hook, str(run["run_id"]))
                self._operator.log.warning("Run %s was started twice: cancelling it: %s", run["run_id"], said)


class GlobusResumeFlowRunOperator(GlobusOperator):
    """
    Resume a run that Globus suspended, after giving the consent it asks for. Returns the run's id.

    A run that is active already, or has ended, is left alone, and the log says so.

    :param run_id: id of the run; also from XCom.
    """

    template_fields: Sequence[str] = ("run_id", "globus_conn_id")

    def __init__(self, *, run_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id

    def execute(self, context: Context) -> str:
        """Give the consent, and resume."""
        run_id = check_run_id(self)
        run = run_document(self.hook, run_id)
        if run["status"] != "INACTIVE":
            self.log.info("Run %s is %s: there is nothing to resume.", run_id, run["status"])
            return run_id
        details = run.get("details") or {}
        why = FlowRuns().judge([run], {}, {}, 0.0).message
        if not resume(self.hook, run_id, run["flow_id"], details.get("required_scope"), why=why):
            raise GlobusConsentRequiredError(
                why,
                code=details.get("code"),
                advice="A person has to log in with that scope and resume the run in the web app; or let a service "
                "account, which can give itself consents, own the run.",
            )
        self.log.info("Resumed run %s.", run_id)
        return run_id


class GlobusCancelFlowRunOperator(GlobusOperator):
    """
    Cancel a run. One that has ended already is left alone. Returns the run's id.

    :param run_id: id of the run; also from XCom.
    """

    template_fields: Sequence[str] = ("run_id", "globus_conn_id")

    def __init__(self, *, run_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id

    def execute(self, context: Context) -> str:
        """Cancel."""
        run_id = check_run_id(self)
        run = run_document(self.hook, run_id)
        if run["status"] not in UNFINISHED:
            self.log.info("Run %s is %s: there is nothing to cancel.", run_id, run["status"])
            return run_id
        self.log.info("Cancelling run %s: %s", run_id, FlowRuns().cancel(self.hook, run_id))
        return run_id


def check_run_id(operator: GlobusOperator) -> str:
    """The ``run_id`` of an operator, which must be a UUID."""
    run_id: Any = operator.run_id  # type: ignore[attr-defined]
    if not is_uuid(run_id):
        raise operator.refuse(
            f"run_id {run_id!r} is no UUID.",
            "Pass the run_id of a run, for example {{ ti.xcom_pull('run')['run_id'] }}.",
        )
    return str(run_id)


def resume(hook: GlobusHook, run_id: str, flow_id: str, scope: str | None, *, why: str) -> bool:
    """
    Resume a suspended run after giving the consent that it needs; one that is suspended no more is left alone.

    :return: ``False`` when this identity cannot give it.
    """
    if scope is None:
        return False
    needed = GlobusConsentRequiredError(why, required_scopes=[scope])
    client = hook.specific_flow_client(flow_id)
    if not hook.credentials.cure(needed, flow_id):
        return False
    try:
        hook.call(f"resuming run {run_id}", client.resume_run, run_id)
    except GlobusConflictError:
        # Somebody else was faster, or has cancelled it: the next look tells.
        return True
    except GlobusError as error:
        raise type(error)(f"{why} {error.message}", advice=error.advice, **error.details) from None
    return True

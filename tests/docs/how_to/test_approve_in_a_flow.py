"""Approval in a flow: a person answers in Globus, in Airflow, or by a link, and what comes of a yes and of a no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from globus_sdk import AccessTokenAuthorizer, FlowsClient
from globus_sdk.scopes import FlowsScopes

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.operators.web_inputs import GlobusRespondWebInputOperator
from tests.dag_runs import beside
from tests.unit.flows import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

REVIEWER = "reviewer@example.edu"


@pytest.fixture
def published(globus_collection: CollectionFactory) -> Path:
    globus_collection("staging", files={f"scan_004{n}/a.h5": "counts" for n in range(2, 5)})
    return globus_collection("published").folder


def reviewer_chooses(globus: GlobusSandbox, label: str) -> Callable[[], None]:
    """What the reviewer does in the web app, whenever they are asked."""
    person = globus.world.auth.identity_by_username(REVIEWER) or globus.add_identity(REVIEWER)
    token = globus.world.auth.issue(
        identity_id=person.id,
        client_id=globus.client_id,
        resource_server="flows.globus.org",
        scopes=[FlowsScopes.run_manage],
    )
    client = FlowsClient(base_url=globus.url, authorizer=AccessTokenAuthorizer(token.value))

    def choose() -> None:
        for web_input in [w for w in globus.world.flows.web_inputs.values() if w.status == "open"]:
            options = client.get_web_input(web_input.id)["options"]
            (option,) = [option for option in options if option["label"] == label]
            client.respond_to_web_input(web_input.id, option["option_id"])

    return choose


def answer_in_airflow(option: str) -> Callable[[], None]:
    """What the page *Required Actions* does with the reviewer's choice."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    user = SimpleAuthManagerUser(username="reviewer", role="user")

    def choose() -> None:
        with create_session() as session:
            waiting = select(TaskInstance).where(
                TaskInstance.task_id == "review", TaskInstance.state == "awaiting_input"
            )
            for task in session.scalars(waiting):
                update_hitl_detail(
                    task.dag_id,
                    task.run_id,
                    task.task_id,
                    UpdateHITLDetailPayload(chosen_options=[option], params_input={}),
                    user=user,
                    session=session,
                )

    return choose


def open_the_link(globus: GlobusSandbox) -> Callable[[], None]:
    def choose() -> None:
        pages = dict(globus.world.flows.option_pages)
        for suffix in [
            suffix for suffix, action in pages.items() if action.memory["options"][suffix]["name"] == "approve"
        ]:
            httpx.get(f"{globus.url}/weboption/option/{suffix}", trust_env=False).raise_for_status()

    return choose


def test_approve_in_a_flow(page: Page, globus_sandbox: GlobusSandbox, published: Path) -> None:
    approve = reviewer_chooses(globus_sandbox, "Approve")
    page.replace("<client UUID>", globus_sandbox.client_id)
    page.dag("publish", meanwhile=approve)
    page.dag("publish_from_airflow", meanwhile=answer_in_airflow("Approve"))
    page.dag("approve_by_link", meanwhile=open_the_link(globus_sandbox))

    page.run(until='DAG("publish_from_airflow"')
    assert page.results("publish")["run"] == "approve"
    assert (published / "scan_0042/a.h5").read_text() == "counts"
    (question,) = globus_sandbox.world.flows.web_inputs.values()
    assert question.title == "Publish the dataset?"

    page.run()
    assert page.results("publish_from_airflow")["answer"] == "Approve"
    assert page.results("publish_from_airflow")["published"] == "SUCCEEDED"
    assert (published / "scan_0043/a.h5").exists()
    assert page.results("approve_by_link")["run"] == "approve"

    with beside(reviewer_chooses(globus_sandbox, "Reject")):
        page.run_dag("publish", {"dataset": "scan_0044"}, ends="failed")
    assert not (published / "scan_0044").exists()
    ended = list(globus_sandbox.world.flows.runs.values())[-1]
    assert (ended.status, "Rejected" in str(ended.details)) == ("FAILED", True)


@pytest.mark.parametrize(
    ("asked_is", "response", "said"),
    [
        ("us", "Yes", "response 'Yes' is no option of 'Publish[?]'.* Choose from 'Approve', 'Reject'"),
        ("answered", "Approve", "It was answered or has expired before"),
        ("somebody else", "Approve", "User does not have respondent role on web input"),
    ],
)
def test_what_can_go_wrong(globus_sandbox: GlobusSandbox, asked_is: str, response: str, said: str) -> None:
    somebody = f"urn:globus:auth:identity:{globus_sandbox.add_identity(REVIEWER).id}"
    _, question = ask(globus_sandbox, respondent=somebody if asked_is == "somebody else" else None)

    def answer(label: str) -> Any:
        return GlobusRespondWebInputOperator(task_id="answer", web_input_id=question["id"], response=label).execute({})

    if asked_is == "answered":
        answer("Reject")
    with pytest.raises(GlobusError, match=said):
        answer(response)

"""Functions, flows, indexes and what the control plane has: what there is to be asked for beside data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute.amqp import ComputeAmqp
from airflow_provider_globus.sandbox.compute.backend import Load
from tests.conformance.fuzz.site import route_of
from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from tests.conformance.fuzz.site import Site


class _Silent:
    """Runs tasks by keeping them: what functions do in processes of their own is not what is tested here."""

    def run(self, task: Any) -> None:
        """Keep it."""

    def load(self) -> Load:
        """Say that nothing is done."""
        return Load()

    def cancel_all(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Link:
    """A broker that is not there."""

    def perform(self, action: Any) -> None:
        """Do nothing."""

    post = perform


def _broker(site: Site) -> ComputeAmqp:
    broker = ComputeAmqp(site.sandbox.world.compute, "amqp://guest:canary-broker@127.0.0.1/")
    broker._link = _Link()  # type: ignore[assignment]
    return broker


def compute(site: Site) -> None:
    compute = site.sandbox.world.compute
    schema = {"type": "object", "properties": {"account": {"type": "string"}}}
    for name, more in (
        ("hpc", {}),
        ("away", {"online": False}),
        ("templated", {"user_config_schema": schema, "multi_user": True}),
    ):
        endpoint = compute.add_endpoint(name, folder=site.folder / "inside" / name, backend=lambda _: _Silent(), **more)
        site.keep("endpoint_id", endpoint.id)
        site.keep("compute_endpoint", endpoint.id)
    theirs = compute.add_endpoint(
        "theirs", folder=site.folder / "inside" / "theirs", backend=lambda _: _Silent(), owner=site.ids["other"][0]
    )
    site.keep("endpoint_id", theirs.id)
    hpc = site.ids["compute_endpoint"][0]
    function = {
        "function_name": "f",
        "function_code": "00\ncode",
        "description": "x",
        "public": False,
        "group": site.ids["group"][0],
        "metadata": {"python_version": "3.12.6"},
        "serialized": True,
    }
    for version in ("v2", "v3"):
        site.keep("function_id", site.ask("compute", "POST", f"/{version}/functions", function)["function_uuid"])
    mine = site.ids["function_id"][0]
    tasks = {
        "tasks": {mine: ["payload", "payload"]},
        "task_group_id": None,
        "create_queue": False,
        "resource_specification": {"num_nodes": 1},
        "user_endpoint_config": {"account": "x"},
        "user_runtime": {"python_version": "3.12.6"},
        "result_serializers": ["a.B"],
    }
    answer = site.ask("compute", "POST", f"/v3/endpoints/{hpc}/submit", tasks)
    site.keep("group_id", answer["task_group_id"])
    made = [item for ids in answer["tasks"].values() for item in ids]
    site.keep("task_id", *made)
    compute.set_status(made[0], "running")
    compute.finish(made[0], result="00\n1")
    old = {"tasks": [[mine, hpc, "payload"]], "create_websocket_queue": False, "task_group_id": site.ids["group_id"][0]}
    site.ask("compute", "POST", "/v2/submit", old)
    site.ask("compute", "POST", "/v2/batch_status", {"task_ids": made})
    site.ask("compute", "GET", "/v2/version", service="all")
    site.ask("compute", "GET", "/v2/endpoints", role="owner")
    for path in ("", "/status"):
        site.ask("compute", "GET", f"/v2/endpoints/{hpc}{path}")
    site.ask("compute", "GET", f"/v3/endpoints/{hpc}/allowed_functions")
    compute.amqp = _broker(site)
    for version in ("v2", "v3"):
        new: dict[str, Any] = {
            "endpoint_name": "e",
            "display_name": "x",
            "multi_user": True,
            "public": False,
            "allowed_functions": [mine],
            "metadata": {"endpoint_config": "x", "user_config_schema": {}, "hostname": "h"},
        }
        real = site.keep("endpoint_id", site.ask("compute", "POST", f"/{version}/endpoints", new)["endpoint_id"])
        site.ask("compute", "PUT", f"/v3/endpoints/{real}", new)
        site.suggest("POST", f"/{version}/endpoints/{real}/lock")


def flows(site: Site) -> None:
    flows = site.sandbox.world.flows
    definition = {
        "StartAt": "Choose",
        "States": {
            "Choose": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.n", "NumericGreaterThan": 3, "Next": "Done"},
                    {
                        "And": [
                            {"Variable": "$.n", "IsPresent": True},
                            {"Not": {"Variable": "$.s", "StringEquals": "x"}},
                        ],
                        "Next": "Add",
                    },
                ],
                "Default": "Done",
            },
            "Add": {
                "Type": "ExpressionEval",
                "Parameters": {"sum.=": "n + 1", "copy.$": "$.n", "l": [1]},
                "ResultPath": "$.r",
                "Next": "Act",
            },
            "Act": {
                "Type": "Action",
                "ActionUrl": "https://actions.globus.org/hello_world",
                "Parameters": {"echo_string": "x"},
                "ResultPath": "$.said",
                "WaitTime": 60,
                "ExceptionOnActionFailure": True,
                "RunAs": "User",
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done", "ResultPath": "$.e"}],
                "Next": "Wait",
            },
            "Wait": {"Type": "Wait", "Seconds": 0, "Next": "Done"},
            "Done": {"Type": "Pass", "Parameters": {"x.$": "$.n"}, "ResultPath": "$.x", "End": True},
        },
    }
    me, other = f"urn:globus:auth:identity:{site.me}", f"urn:globus:auth:identity:{site.ids['other'][0]}"
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n"]}
    document = {
        "title": "x",
        "definition": definition,
        "input_schema": schema,
        "subtitle": "x",
        "description": "x",
        "keywords": ["a"],
        "flow_viewers": [other],
        "flow_starters": ["all_authenticated_users"],
        "flow_administrators": [],
        "run_managers": [other],
        "run_monitors": [],
        "subscription_id": None,
    }
    site.ask("flows", "POST", "/flows/validate", {"definition": definition, "input_schema": schema})
    flow = site.keep("flow_id", site.ask("flows", "POST", "/flows", document)["id"])
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86400, "End": True}}}
    fails = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "x", "Cause": "y"}}}
    for title, one in (("waits", wait), ("fails", fails), ("asks", APPROVAL)):
        site.keep(
            "flow_id",
            site.ask("flows", "POST", "/flows", {"title": title, "definition": one, "input_schema": {}})["id"],
        )
    site.ask("flows", "PUT", f"/flows/{flow}", document)
    start = {
        "body": {"n": 1, "s": "y"},
        "label": "x",
        "tags": ["a"],
        "run_managers": [other],
        "run_monitors": [],
        "activity_notification_policy": {"status": ["FAILED"]},
    }
    bodies: tuple[dict[str, Any], ...] = (
        start,
        {"body": {}, "label": "w"},
        {"body": {}},
        {"body": {"respondents": [me]}, "label": "q"},
    )
    for flow_id, body in zip(list(site.ids["flow_id"]), bodies, strict=True):
        site.ask(flow_id, "POST", f"/flows/{flow_id}/validate_run", body)
        site.keep("run_id", site.ask(flow_id, "POST", f"/flows/{flow_id}/run", body)["run_id"])
    ended, waiting, failed, asking = site.ids["run_id"]
    flows.wait(ended)
    flows.wait(failed)
    site.keep("web_input_id", flows.wait_for_question(asking).id)
    site.ask(
        "flows", "PUT", f"/runs/{waiting}", {"label": "z", "tags": ["b"], "run_managers": [], "run_monitors": [other]}
    )
    again = site.ask(site.ids["flow_id"][1], "POST", f"/flows/{site.ids['flow_id'][1]}/run", bodies[1])["run_id"]
    site.ask("flows", "POST", f"/runs/{site.keep('run_id', again)}/cancel")
    site.ask("flows", "PUT", "/batch/runs", {"tags": ["c"], "run_ids": [waiting]}) if route_of(
        "PUT", "/batch/runs"
    ) else None
    site.ask(
        "flows",
        "GET",
        "/runs",
        filter_status="ACTIVE,FAILED",
        filter_flow_id=flow,
        orderby="start_time DESC",
        per_page=10,
        filter_role="run_owner",
        filter_roles="run_owner,run_monitor",
        filter_label="x",
        marker="",
    )
    site.ask(
        "flows",
        "GET",
        "/flows",
        filter_fulltext="x",
        orderby="title ASC",
        per_page=5,
        filter_role="flow_owner",
        marker="",
    )
    site.ask("flows", "GET", f"/runs/{ended}/log", limit=3, reverse_order="true", marker="")
    site.ask(
        "flows",
        "GET",
        "/web_inputs",
        filter_statuses="OPEN",
        filter_roles="viewer",
        filter_run_ids=asking,
        orderby="created_timestamp ASC",
    )
    second = site.ask(site.ids["flow_id"][3], "POST", f"/flows/{site.ids['flow_id'][3]}/run", bodies[3])["run_id"]
    asked = flows.wait_for_question(second)
    site.ask(
        "flows",
        "POST",
        f"/web_inputs/{site.keep('web_input_id', asked.id)}/respond",
        {"response": {"value": asked.options[0].id}},
    )
    open_one = flows.web_input(site.ids["web_input_id"][0])
    assert open_one is not None
    site.suggest("POST", f"/web_inputs/{open_one.id}/respond", {"response": {"value": open_one.options[0].id}})
    for run_id in site.ids["run_id"]:
        site.suggest("POST", f"/runs/{run_id}/resume", {})
        site.suggest("POST", f"/runs/{run_id}/release", {})
    site.sandbox.add_action_provider("https://example.org/own", lambda body: body)


def search(site: Site) -> None:
    index = site.keep(
        "index_id", site.ask("search", "POST", "/v1/index", {"display_name": "x", "description": "y"})["id"]
    )
    site.keep("index_id", site.sandbox.add_search_index("theirs", owner=site.ids["other"][0]).id)
    entry = {
        "subject": "s",
        "id": "e",
        "visible_to": ["public"],
        "content": {"a": {"b": [1, 2.5, "x y"]}, "d": "2020-01-01", "n": 3, "t": True},
    }
    path = f"/v1/index/{index}"
    task = site.ask(
        "search",
        "POST",
        f"{path}/ingest",
        {"ingest_type": "GMetaEntry", "ingest_data": entry, "field_mapping": {"d": "date"}},
    )
    site.keep("task_id", task["task_id"])
    both = {"gmeta": [entry, {**entry, "id": None, "visible_to": ["all_authenticated_users"]}]}
    site.ask("search", "POST", f"{path}/ingest", {"ingest_type": "GMetaList", "ingest_data": both})
    site.ask("search", "POST", f"{path}/entry", {**entry, "id": "f"})
    site.ask("search", "PUT", f"{path}/entry", {**entry, "id": "g"})
    for what in ("subject", "entry"):
        site.ask("search", "GET", f"{path}/{what}", subject="s", entry_id="e")
    site.ask(
        "search",
        "GET",
        f"{path}/search",
        q='a.b:x AND NOT (y OR "z w")',
        limit=5,
        offset=0,
        advanced="true",
        bypass_visible_to="true",
    )
    query = {
        "q": "x*",
        "limit": 5,
        "offset": 0,
        "advanced": True,
        "bypass_visible_to": False,
        "result_format_version": "2019-08-27",
        "filters": [
            {"type": "match_any", "field_name": "a.b", "values": [1, "x"]},
            {"type": "range", "field_name": "n", "values": [{"from": 1, "to": "*"}]},
            {"type": "not", "filter": {"type": "exists", "field_name": "z"}},
            {"type": "like", "field_name": "d", "value": "2*"},
            {"type": "and", "filters": [{"type": "match_all", "field_name": "n", "values": [3]}]},
        ],
        "facets": [
            {"name": "f", "type": "terms", "field_name": "a.b", "size": 3},
            {"type": "sum", "field_name": "n"},
            {"type": "avg", "field_name": "n"},
            {"type": "value_count", "field_name": "n"},
        ],
        "sort": [{"field_name": "n", "order": "desc"}, {"field_name": "a.b"}],
    }
    site.ask("search", "POST", f"{path}/search", query)
    site.ask("search", "POST", f"{path}/scroll", {"q": "*", "limit": 1})
    site.ask("search", "POST", f"{path}/delete_by_query", {"q": "nothing", "filters": []})
    site.ask("search", "POST", f"{path}/batch_delete_by_subject", {"subjects": ["nothing"]})
    role = {"role_name": "writer", "principal": f"urn:globus:auth:identity:{site.ids['other'][0]}"}
    site.keep("role_id", site.ask("search", "POST", f"{path}/role", role)["id"])
    site.ask("search", "PATCH", path, {"display_name": "z", "description": "w"})
    site.suggest("DELETE", f"{path}/subject", subject="s")
    site.suggest("DELETE", f"{path}/entry", subject="s", entry_id="e")
    doomed = site.keep(
        "index_id", site.ask("search", "POST", "/v1/index", {"display_name": "d", "description": ""})["id"]
    )
    site.ask("search", "DELETE", f"/v1/index/{doomed}")
    site.suggest("POST", f"/v1/index/{doomed}/reopen")


def control(site: Site) -> None:
    ask = site.ask
    ask("control", "GET", "/_sandbox/journal", service="transfer", method="GET", path="/v0.10/*", after=0, limit=10)
    ask(
        "control",
        "POST",
        "/_sandbox/settings",
        {"task_seconds": 0, "rate_limit_per_second": None, "enforce_consents": True},
    )
    fault = {
        "service": "transfer",
        "method": "GET",
        "path": "/none",
        "status": 503,
        "code": "X",
        "message": "x",
        "headers": {"X-A": "b"},
        "nth": 1,
        "times": 1,
        "probability": 0.5,
        "for_seconds": 1,
    }
    site.keep("fault_id", ask("control", "POST", "/_sandbox/faults", fault)["id"])
    ask(
        "control",
        "POST",
        "/_sandbox/faults",
        {"collection": "mapped", "path": "/none", "nice_status": "X", "details": "x"},
    )
    ask("control", "POST", "/_sandbox/clock", {"scale": 1, "advance": 1, "freeze": False, "resume": True})
    ask(
        "control",
        "POST",
        "/_sandbox/revoke",
        {"identity_id": site.ids["identity_id"][2], "refresh_tokens": True, "consents": True},
    )
    seed = {"identities": [{"username": "bob@example.org"}], "search_indexes": [{"display_name": "seeded"}]}
    ask("control", "POST", "/_sandbox/seed", seed, mark="false")
    ask(
        "control",
        "POST",
        f"/_sandbox/web_inputs/{site.ids['web_input_id'][0]}/respond",
        {"value": "Approve", "as": None},
    )
    site.keep("suffix", "none")

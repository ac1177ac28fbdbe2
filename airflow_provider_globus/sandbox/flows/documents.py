"""The JSON documents of the Flows service, with the key sets of the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import flow_scope
from airflow_provider_globus.sandbox.flows.access import (
    flow_roles,
    run_roles,
    urn_of,
    web_input_roles,
)
from airflow_provider_globus.sandbox.flows.models import iso

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.flows.models import Flow, RegisteredApi, Run, WebInput
    from airflow_provider_globus.sandbox.flows.state import FlowsState


# The one role that a flow's document names has, of two, other names than the list of all.
_ROLE_NAMES = {"flow_run_manager": "run_manager", "flow_run_monitor": "run_monitor"}


def flow_document(state: FlowsState, caller: Caller, flow: Flow) -> dict[str, Any]:
    """Return a flow as a caller sees it: who may do what with it is shown to its administrators only."""
    roles = flow_roles(state, caller, flow)
    address = f"{state.world.url}/flows/{flow.id}"
    administers = bool({"flow_owner", "flow_administrator"} & set(roles))
    viewers, starters = (flow.viewers, flow.starters) if administers else ([], [])
    administrators = flow.administrators if administers else []
    given = {
        "subscription_id": flow.subscription_id,
        "authentication_policy_id": flow.authentication_policy_id,
    }
    return {
        "id": flow.id,
        "definition": flow.definition,
        "input_schema": flow.input_schema,
        "globus_auth_scope": flow_scope(flow.id),
        "globus_auth_scopes_by_RunAs": {role: flow_scope(flow.id, role) for role in _roles_of(flow)},
        "synchronous": False,
        "log_supported": True,
        "types": ["Action"],
        "api_version": "1.0",
        "title": flow.title,
        "subtitle": flow.subtitle,
        "description": flow.description,
        "keywords": flow.keywords,
        "principal_urn": urn_of(flow.id),
        "globus_auth_username": f"{flow.id}@clients.auth.globus.org",
        "created_at": iso(flow.created_at),
        "updated_at": iso(flow.updated_at),
        "created_by": flow.owner_urn,
        "user_role": _ROLE_NAMES.get(roles[0], roles[0]) if roles else None,
        "user_roles": roles,
        "flow_owner": flow.owner_urn,
        "flow_viewers": viewers,
        "flow_starters": starters,
        "flow_administrators": administrators,
        "run_managers": flow.run_managers if administers or "flow_run_manager" in roles else [],
        "run_monitors": flow.run_monitors if administers or "flow_run_manager" in roles else [],
        "visible_to": viewers,
        "runnable_by": starters,
        "administered_by": administrators,
        "action_url": address,
        "flow_url": address,
        "is_high_assurance": False,
        **{name: value for name, value in given.items() if value is not None},
    }


def flow_embed(flow: Flow) -> dict[str, Any]:
    """Return what the document of a run tells about its flow, when asked to."""
    deleted = {} if flow.deleted_at is None else {"deleted_at": iso(flow.deleted_at)}
    return {
        "id": flow.id,
        "title": flow.title,
        "subtitle": flow.subtitle,
        "description": flow.description,
        "keywords": flow.keywords,
        "flow_owner": flow.owner_urn,
        "created_by": flow.owner_urn,
        "created_at": iso(flow.created_at),
        "updated_at": iso(flow.updated_at),
        "globus_auth_scope": flow_scope(flow.id),
        **deleted,
    }


def _roles_of(flow: Flow) -> list[str]:
    """Return in whose name the actions of a flow act, beside its own."""
    named = {state.get("RunAs", "User") for state in flow.definition["States"].values()}
    return ["User", *sorted(named - {"User", "Flow"})]


def run_document(state: FlowsState, caller: Caller, run: Run) -> dict[str, Any]:
    """Return a run as a caller sees it: who manages and monitors it is shown to those who manage it only."""
    roles = run_roles(state, caller, run)
    manages = bool({"run_owner", "run_manager", "flow_run_manager"} & set(roles))
    managers, monitors = (run.managers, run.monitors) if manages else ([], [])
    completed = {} if run.completed_at is None else {"completion_time": iso(run.completed_at)}
    return {
        "run_id": run.id,
        "action_id": run.id,
        "flow_id": run.flow_id,
        "flow_title": run.flow_title,
        "flow_last_updated": iso(run.flow_updated_at),
        "start_time": iso(run.started_at),
        **completed,
        "status": run.status,
        "display_status": run.status,
        "details": run.details,
        "label": run.label,
        "tags": run.tags,
        "run_owner": run.owner_urn,
        "run_managers": managers,
        "run_monitors": monitors,
        "user_role": roles[0] if roles else None,
        "user_roles": roles,
        "created_by": run.owner_urn,
        "manage_by": managers,
        "monitor_by": monitors,
        "blocking_web_input_id": run.web_input_id,
    }


def web_input_summary(state: FlowsState, caller: Caller, web_input: WebInput) -> dict[str, Any]:
    """Return a web input as lists show it."""
    run = web_input.run
    return {
        "id": web_input.id,
        "status": web_input.status,
        "user_roles": web_input_roles(state, caller, web_input),
        "input_type": "selection",
        "title": web_input.title,
        "flow": {"id": run.flow_id, "title": run.flow_title},
        "run": {"id": run.id, "label": run.label},
        "created_timestamp": iso(web_input.created_at),
        "edited_timestamp": iso(web_input.closed_at or web_input.created_at),
        "closed_timestamp": iso(web_input.closed_at),
    }


def web_input_document(state: FlowsState, caller: Caller, web_input: WebInput) -> dict[str, Any]:
    """Return a web input as a caller sees it, with the options, and never with which was chosen."""
    summary = web_input_summary(state, caller, web_input)
    del summary["title"]
    choices = [
        {"const": option.id, "title": option.label, "description": option.description} for option in web_input.options
    ]
    return {
        **summary,
        "input_schema": {
            "$schema": "http://json-schema.org/draft-07/schema",
            "title": "Please select an option",
            "type": "string",
            "oneOf": choices,
        },
        "context": web_input.context,
        "options": [
            {"option_id": option.id, "label": option.label, "description": option.description}
            for option in web_input.options
        ],
        "roles": {"viewer_urns": web_input.viewers, "respondent_urns": web_input.respondents},
        "creator_urn": web_input.run.owner_urn,
    }


def registered_api_summary(api: RegisteredApi) -> dict[str, Any]:
    """Return a registered API as lists show it."""
    return {
        "id": api.id,
        "name": api.name,
        "description": api.description,
        "created_timestamp": iso(api.created_at),
        "updated_timestamp": iso(api.created_at),
    }


def registered_api_document(api: RegisteredApi) -> dict[str, Any]:
    """Return a registered API: all of a state's input is sent to it, and what it answers is the result."""
    return {
        **registered_api_summary(api),
        "roles": {"owners": api.owners, "administrators": api.administrators, "viewers": api.viewers},
        "target": api.target,
        "data_templates": {
            "request": {"template": {"body": {"$T_ref": "$"}}},
            "response": {
                "2XX": {"template": {"$T_ref": "$.body"}, "type": "success"},
                "default": {
                    "template": {"cause": {"$T_ref": "$.body"}, "exception": "ActionUnableToRun"},
                    "type": "failure",
                },
            },
        },
        "state_input_schema": {"type": "object"},
        "status": "ACTIVE",
        "subscription_id": None,
        "edited_timestamp": None,
        "scheduled_deletion_timestamp": None,
    }

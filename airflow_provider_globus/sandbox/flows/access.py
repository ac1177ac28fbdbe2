"""Who may do what: the scopes that routes ask for, and the roles that flows, runs and web inputs give."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from globus_sdk.scopes import FlowsScopes

from airflow_provider_globus.sandbox.auth.scopes import flow_scope
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.flows import errors
from airflow_provider_globus.sandbox.flows.models import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.flows.models import Flow, RegisteredApi, Run, WebInput
    from airflow_provider_globus.sandbox.flows.state import FlowsState
    from airflow_provider_globus.sandbox.service import Authorize, ServiceRequest

IDENTITY = "urn:globus:auth:identity:"
GROUP = "urn:globus:groups:id:"
PUBLIC, AUTHENTICATED = "public", "all_authenticated_users"

# The JavaScript SDK knows them, the Python SDK does not.
WEB_INPUT_SCOPES = {
    name: f"https://auth.globus.org/scopes/{FlowsScopes.client_id}/{name}"
    for name in ("web_input_view", "web_input_respond")
}
_SCOPES = {
    "manage_flows": str(FlowsScopes.manage_flows),
    "view_flows": str(FlowsScopes.view_flows),
    "run": str(FlowsScopes.run),
    "run_status": str(FlowsScopes.run_status),
    "run_manage": str(FlowsScopes.run_manage),
    **WEB_INPUT_SCOPES,
}


def with_scope(*names: str) -> Authorize:
    """Return what takes tokens with one of these scopes of Flows, or with the scope of the flow that is meant.

    :param names: such as ``view_flows``; none of them when only the flow's own scope will do.
    """

    def authorize(request: ServiceRequest) -> Caller:
        auth = request.world.auth
        token = auth.bearer(request)
        if token is None:
            return auth.anyone()
        caller = auth.caller_of(token)
        wanted = [_SCOPES[name] for name in names] + _flow_scopes(request)
        if not any(map(caller.has_scope, [*wanted, str(FlowsScopes.all)] if names else wanted)):
            raise errors.missing_scope(wanted)
        return caller

    return authorize


def _flow_scopes(request: ServiceRequest) -> list[str]:
    flow_id = request.path_params.get("flow_id")
    if flow_id is None and (run := request.world.flows.runs.get(request.path_params.get("run_id", ""))):
        flow_id = run.flow_id
    return [flow_scope(flow_id)] if flow_id else []


def urn_of(identity_id: str) -> str:
    """Return the URN of an identity."""
    return IDENTITY + identity_id


def is_principal(text: object, *, words: Iterable[str] = ()) -> bool:
    """Tell whether a text is the URN of an identity or group, or one of these words."""
    if not isinstance(text, str):
        return False
    if text in words:
        return True
    for prefix in (IDENTITY, GROUP):
        if text.startswith(prefix):
            try:
                return bool(uuid.UUID(text.removeprefix(prefix)))
            except ValueError:
                return False
    return False


def is_among(state: FlowsState, identity_id: str, principals: Iterable[str]) -> bool:
    """Tell whether an identity is one of these, or in one of these groups."""
    for principal in principals:
        if principal in (PUBLIC, AUTHENTICATED, urn_of(identity_id)):
            return True
        if principal.startswith(GROUP) and state.world.groups.is_in(identity_id, principal.removeprefix(GROUP)):
            return True
    return False


def flow_roles(state: FlowsState, caller: Caller, flow: Flow) -> list[str]:
    """Return the roles of a caller on a flow, the mightiest first."""
    held = (
        ("flow_owner", [flow.owner_urn]),
        ("flow_administrator", flow.administrators),
        ("flow_run_manager", flow.run_managers),
        ("flow_run_monitor", flow.run_monitors),
        ("flow_starter", flow.starters),
        ("flow_viewer", flow.viewers),
    )
    return [role for role, principals in held if is_among(state, caller.identity_id, principals)]


def run_roles(state: FlowsState, caller: Caller, run: Run) -> list[str]:
    """Return the roles of a caller on a run, the mightiest first."""
    flow = state.flows.get(run.flow_id)
    held = [("run_owner", [run.owner_urn]), ("run_manager", run.managers), ("run_monitor", run.monitors)]
    if flow is not None:
        held += [("flow_run_manager", flow.run_managers), ("flow_run_monitor", flow.run_monitors)]
    return [role for role, principals in held if is_among(state, caller.identity_id, principals)]


def web_input_roles(state: FlowsState, caller: Caller, web_input: WebInput) -> list[str]:
    """Return the roles of a caller on a web input.

    Not confirmed: that who may see the run may see what it asks.
    """
    roles = []
    sees = is_among(state, caller.identity_id, web_input.viewers) or bool(run_roles(state, caller, web_input.run))
    responds = is_among(state, caller.identity_id, web_input.respondents)
    if sees or responds:
        roles.append("viewer")
    if responds:
        roles.append("respondent")
    return roles


def registered_api_roles(state: FlowsState, caller: Caller, api: RegisteredApi) -> list[str]:
    """Return the roles of a caller on a registered API, the mightiest first."""
    held = (("owner", api.owners), ("administrator", api.administrators), ("viewer", api.viewers))
    return [role for role, principals in held if is_among(state, caller.identity_id, principals)]


def registered_api_for(state: FlowsState, caller: Caller, api_id: str) -> RegisteredApi:
    """Return a registered API that the caller may see."""
    api = state.registered_apis.get(api_id)
    if api is None or not registered_api_roles(state, caller, api):
        raise errors.not_found("Registered API", api_id)
    return api


def flow_for(state: FlowsState, caller: Caller, flow_id: str, permission: str) -> Flow:
    """Return a flow that the caller may view (``VIEW``), run (``RUN``), or change (``UPDATE``, ``DELETE``)."""
    flow = state.flows.get(flow_id)
    roles = flow_roles(state, caller, flow) if flow is not None else []
    if flow is None or not roles:
        raise errors.not_found("Flow", flow_id)
    allowed = {
        "VIEW": True,
        "RUN": bool({"flow_owner", "flow_administrator", "flow_starter"} & set(roles)),
        "UPDATE": bool({"flow_owner", "flow_administrator"} & set(roles)),
        "DELETE": "flow_owner" in roles,
    }
    if not allowed[permission]:
        raise errors.forbidden("flow", flow_id, permission)
    require_policy(flow, "resource")
    return flow


def require_policy(flow: Flow, what: str, **more: Any) -> None:
    """Refuse what belongs to a flow with an authentication policy: nobody logs in here, so none is ever met.

    :param more: fields of the error document beside those that say so.
    """
    if flow.authentication_policy_id is not None:
        raise errors.policy_required(flow.authentication_policy_id, what, more)


def run_for(state: FlowsState, caller: Caller, run_id: str, permission: str) -> Run:
    """Return a run that the caller may view (``VIEW``) or manage (``MANAGE``)."""
    run = state.runs.get(run_id)
    roles = run_roles(state, caller, run) if run is not None else []
    if run is None or not roles:
        raise errors.not_found("Run", run_id)
    if permission == "MANAGE" and not {"run_owner", "run_manager", "flow_run_manager"} & set(roles):
        raise errors.forbidden("run", run_id, permission)
    require_policy(run.flow, "resource")
    return run


def web_input_for(state: FlowsState, caller: Caller, web_input_id: str, *, to_respond: bool = False) -> WebInput:
    """Return a web input that the caller may see, or respond to."""
    web_input = state.web_input(web_input_id)
    roles = web_input_roles(state, caller, web_input) if web_input is not None else []
    if web_input is None or not roles:
        raise errors.not_found("Web Input", web_input_id)
    if to_respond and "respondent" not in roles:
        raise ServiceError(403, errors.FORBIDDEN, f"User does not have respondent role on web input {web_input_id}")
    if to_respond and web_input.status != OPEN:
        raise ServiceError(409, "STATE_CONFLICT", f"Web Input {web_input_id} is already closed.")
    return web_input

"""Flows: made, found, changed, deleted, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL, flow_scope
from airflow_provider_globus.sandbox.errors import NotServed, ServiceError
from airflow_provider_globus.sandbox.flow_language.validation import Problem, check_definition, check_input_schema
from airflow_provider_globus.sandbox.flows import access, errors
from airflow_provider_globus.sandbox.flows.documents import flow_document
from airflow_provider_globus.sandbox.flows.lists import page, sorted_by, text_filter, words
from airflow_provider_globus.sandbox.flows.models import Flow, iso
from airflow_provider_globus.sandbox.flows.run_request import principal_problems
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.datastructures import QueryParams

    from airflow_provider_globus.sandbox.flows.state import FlowsState

_LENGTHS = {"title": (1, 128), "subtitle": (0, 128), "description": (0, 4096)}
_KEYWORD_CHARACTERS = 1024
# Our name for each field that holds people, the service's own, and the words it takes beside URNs.
_ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "viewers": ("flow_viewers", (access.PUBLIC,)),
    "starters": ("flow_starters", (access.AUTHENTICATED,)),
    "administrators": ("flow_administrators", ()),
    "run_managers": ("run_managers", ()),
    "run_monitors": ("run_monitors", ()),
}
_PLAIN = ("title", "definition", "input_schema", "subtitle", "description", "keywords")
_MORE = ("subscription_id", "authentication_policy_id")
_FIELDS = (*_PLAIN, *_MORE, *(name for name, _ in _ROLES.values()), "flow_owner", "visible_to", "runnable_by")
# The names that the service's documentation has for roles to filter by, beside the roles' own.
_ROLE_FILTERS = {
    "flow_viewers": "flow_viewer",
    "flow_starters": "flow_starter",
    "flow_administrators": "flow_administrator",
    **dict.fromkeys(("run_manager", "run_managers"), "flow_run_manager"),
    **dict.fromkeys(("run_monitor", "run_monitors"), "flow_run_monitor"),
}
_ORDERED = {
    "id": lambda flow: flow.id,
    "title": lambda flow: flow.title,
    "created_at": lambda flow: flow.created_at,
    "updated_at": lambda flow: flow.updated_at,
    "flow_owner": lambda flow: flow.owner_urn,
    "scope_string": lambda flow: flow.id,
    "flow_administrators": lambda flow: flow.administrators,
}


def _create(request: ServiceRequest) -> Answer:
    document, state, caller = request.json(), request.world.flows, request.caller
    problems = list(_problems(document))
    problems += [
        Problem((name,), "field required", "value_error.missing")
        for name in ("title", "definition", "input_schema")
        if name not in document
    ]
    if problems:
        raise errors.unprocessable(problems)
    owner_urn = access.urn_of(caller.identity_id)
    _check_policy(document)
    _check_subscription(state, owner_urn, document.get("subscription_id"))
    now = request.world.clock.time()
    flow = Flow(
        id=request.world.new_id(),
        owner_urn=owner_urn,
        created_at=now,
        updated_at=now,
        **_fields(document),
    )
    state.keep_flow(flow)
    return Answer(flow_document(state, caller, flow), 201)


def _check_policy(document: Mapping[str, Any]) -> None:
    """Refuse what would promise more than the sandbox keeps: nobody logs in here, so no policy can be met."""
    if document.get("authentication_policy_id"):
        raise NotServed("authentication policies of flows")


def _check_subscription(state: FlowsState, owner_urn: str, subscription_id: Any) -> None:
    limit = state.world.settings.flows_without_subscription
    if subscription_id or limit is None:
        return
    owned = [flow for flow in state.flows.values() if flow.owner_urn == owner_urn and not flow.subscription_id]
    if len(owned) >= limit:
        raise ServiceError(
            403,
            "FLOW_LIMIT_EXCEEDED",
            f"Without a subscription, an identity may have {limit} flow; it has {', '.join(f.id for f in owned)}",
        )


def _list(request: ServiceRequest) -> Answer:
    state, caller, query = request.world.flows, request.caller, request.query
    wanted = {_ROLE_FILTERS.get(name, name) for name in (*words(query, "filter_roles"), *words(query, "filter_role"))}
    found = []
    for flow in list(state.flows.values()):
        roles = access.flow_roles(state, caller, flow)
        if roles and (not wanted or wanted & set(roles)) and _fits(query, flow):
            found.append(flow)
    ordered = sorted_by(found, query, _ORDERED, default="updated_at DESC")
    return page(request, "flows", ordered, lambda flow: flow_document(state, caller, flow))


def _fits(query: QueryParams, flow: Flow) -> bool:
    everything = (flow.id, flow.title, flow.subtitle, flow.description, flow.owner_urn, *flow.administrators)
    return (
        text_filter(query, "filter_title", flow.title)
        and text_filter(query, "filter_subtitle", flow.subtitle)
        and text_filter(query, "filter_description", flow.description)
        and text_filter(query, "filter_keywords", *flow.keywords)
        and text_filter(query, "filter_scope_string", flow_scope(flow.id))
        and text_filter(query, "filter_fulltext", *everything)
    )


def _get(request: ServiceRequest) -> Answer:
    state, caller = request.world.flows, request.caller
    flow = access.flow_for(state, caller, request.path_params["flow_id"], "VIEW")
    return Answer(flow_document(state, caller, flow))


def _update(request: ServiceRequest) -> Answer:
    document, state, caller = request.json(), request.world.flows, request.caller
    flow = access.flow_for(state, caller, request.path_params["flow_id"], "UPDATE")
    given = {name: value for name, value in document.items() if value is not None}
    if problems := list(_problems(given)):
        raise errors.unprocessable(problems)
    _check_policy(given)
    with state.changed:
        for name, value in _fields(given).items():
            setattr(flow, name, value)
        if owner := given.get("flow_owner"):
            flow.owner_urn = owner
        flow.updated_at = request.world.clock.time()
    return Answer(flow_document(state, caller, flow))


def _delete(request: ServiceRequest) -> Answer:
    state, caller = request.world.flows, request.caller
    flow = access.flow_for(state, caller, request.path_params["flow_id"], "DELETE")
    document = flow_document(state, caller, flow)
    state.remove_flow(flow.id)
    return Answer({**document, "DELETED": True, "deleted_at": iso(request.world.clock.time())})


def _validate(request: ServiceRequest) -> Answer:
    document = request.json()
    if problems := list(_problems({"definition": None, **document})):
        raise errors.unprocessable(problems)
    return Answer({"scopes": _scopes(document["definition"])})


def _scopes(definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what a definition's actions need, by in whose name they act.

    The service names Transfer's scope for its Transfer provider; for others it is not confirmed what it names.
    """
    found: dict[str, list[str]] = {}
    for state in definition["States"].values():
        url = state.get("ActionUrl") or _handler_url(state.get("Handler"))
        if not url:
            continue
        scopes = found.setdefault(state.get("RunAs", "User"), [])
        scope = state.get("ActionScope") or (TRANSFER_ALL if "transfer" in url else url)
        if scope not in scopes:
            scopes.append(scope)
    return found


def _handler_url(handler: Any) -> str | None:
    url = handler.get("Url") if isinstance(handler, Mapping) else handler
    return None if url is None else str(url)


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a flow that a checked document sets."""
    names = {**{name: name for name in (*_PLAIN, *_MORE)}, **{theirs: ours for ours, (theirs, _) in _ROLES.items()}}
    names |= {"visible_to": "viewers", "runnable_by": "starters"}
    return {names[name]: value for name, value in document.items() if name in names and value is not None}


def _problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    for name in document:
        if name not in _FIELDS:
            yield Problem((name,), "extra fields not permitted", "value_error.extra")
    for name, (least, most) in _LENGTHS.items():
        value = document.get(name)
        if value is not None and (not isinstance(value, str) or not least <= len(value) <= most):
            yield Problem((name,), f"must be text of {least} to {most} characters")
    keywords = document.get("keywords")
    if keywords is not None and (not isinstance(keywords, list) or not all(isinstance(k, str) for k in keywords)):
        yield Problem(("keywords",), "value is not a valid list of words", "type_error.list")
    elif keywords and sum(map(len, keywords)) > _KEYWORD_CHARACTERS:
        yield Problem(("keywords",), f"must not have more than {_KEYWORD_CHARACTERS} characters in all")
    if (owner := document.get("flow_owner")) is not None:
        yield from principal_problems("flow_owner", [owner])
    for name, everybody in _ROLES.values():
        yield from principal_problems(name, document.get(name), words=everybody)
    if "definition" in document:
        yield from check_definition(document["definition"])
    if document.get("input_schema") is not None:
        yield from check_input_schema(document["input_schema"])


_VIEW = access.with_scope("view_flows", "manage_flows")
_MANAGE = access.with_scope("manage_flows")

ROUTES = (
    Route("POST", "/flows", _create, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("GET", "/flows", _list, authorize=_VIEW, basis=Basis.RECORDED),
    Route("POST", "/flows/validate", _validate, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("GET", "/flows/{flow_id}", _get, authorize=_VIEW, basis=Basis.RECORDED),
    Route("PUT", "/flows/{flow_id}", _update, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("DELETE", "/flows/{flow_id}", _delete, authorize=_MANAGE, basis=Basis.RECORDED),
)

"""Pause rules: `/endpoint_manager/pause_rule…`, and what a user sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer import pause_rules
from airflow_provider_globus.sandbox.transfer.documents import result
from airflow_provider_globus.sandbox.transfer.errors import permission_denied
from airflow_provider_globus.sandbox.transfer.manager_access import (
    MANAGE,
    MONITOR,
    lineage,
    managed_collection,
    manages,
    require,
    require_any,
)

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.pause_rules import PauseRule


def _editable(request: ServiceRequest, rule: PauseRule) -> bool:
    """Whether the caller may change a rule: not one of the host's managers, when they manage the guest only."""
    return manages(request, rule.endpoint.host if rule.created_by_host_manager else rule.endpoint, MANAGE)


def _document(request: ServiceRequest, rule: PauseRule) -> dict[str, Any]:
    return rule.document(editable=_editable(request, rule))


def _rule(request: ServiceRequest, *, edit: bool = False) -> PauseRule:
    """Return the rule of a request, which only managers of its endpoint see."""
    rule = request.world.transfer.pause_rules.get(request.path_params["rule_id"])
    require(request, rule.endpoint, MANAGE)
    if edit and not _editable(request, rule):
        raise permission_denied("The rule was made by a manager of the host endpoint; you cannot change it")
    return rule


def _heed(request: ServiceRequest) -> None:
    request.world.transfer.engine.heed_rules()


def list_rules(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/pause_rule_list`: rules on what the caller monitors."""
    require_any(request)
    wanted = [request.query.get(name) for name in ("filter_endpoint", "filter_host_endpoint")]
    places = [managed_collection(request, place, MONITOR).id for place in wanted if place]
    found = [
        _document(request, rule)
        for rule in request.world.transfer.pause_rules.all()
        if manages(request, rule.endpoint, MONITOR) and set(places) <= {item.id for item in lineage(rule.endpoint)}
    ]
    return Answer({"DATA_TYPE": "pause_rule_list", "DATA": found})


def create_rule(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/pause_rule`, which answers with the rule."""
    world = request.world
    rule = pause_rules.parse(
        request.json(),
        world.new_id(),
        lambda endpoint_id: managed_collection(request, endpoint_id, MANAGE),
        request.caller.identity_id,
        lambda endpoint: manages(request, endpoint.host, MANAGE),
    )
    world.transfer.pause_rules.put(rule)
    _heed(request)
    return Answer(_document(request, rule), status=201)


def get_rule(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/pause_rule/<id>`."""
    return Answer(_document(request, _rule(request)))


def update_rule(request: ServiceRequest) -> Answer:
    """`PUT /endpoint_manager/pause_rule/<id>`, which answers with the rule."""
    rule = pause_rules.changed(_rule(request, edit=True), request.json(), request.caller.identity_id)
    request.world.transfer.pause_rules.put(rule)
    _heed(request)
    return Answer(_document(request, rule))


def delete_rule(request: ServiceRequest) -> Answer:
    """`DELETE /endpoint_manager/pause_rule/<id>`; what it paused goes on."""
    rule = _rule(request, edit=True)
    request.world.transfer.pause_rules.remove(rule.id)
    _heed(request)
    return Answer(result("Deleted", f"Pause rule '{rule.id}' deleted successfully", request.request_id, request.path))


def my_effective_rules(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/my_effective_pause_rule_list`: rules in force that concern the caller there."""
    state = request.world.transfer
    collection = state.collection(request.path_params["endpoint_id"])
    found = state.pause_rules.on(collection, request.caller.identity_id, request.world.clock.time())
    return Answer({"DATA_TYPE": "pause_rule_list", "DATA": [rule.limited() for rule in found]})


_RULE = "/v0.10/endpoint_manager/pause_rule"
ROUTES = (
    Route("GET", "/v0.10/endpoint_manager/pause_rule_list", list_rules, basis=Basis.QUOTED),
    Route("POST", _RULE, create_rule, basis=Basis.QUOTED),
    Route("GET", f"{_RULE}/{{rule_id}}", get_rule, basis=Basis.QUOTED),
    Route("PUT", f"{_RULE}/{{rule_id}}", update_rule, basis=Basis.QUOTED),
    Route("DELETE", f"{_RULE}/{{rule_id}}", delete_rule, basis=Basis.QUOTED),
    Route("GET", "/v0.10/endpoint/{endpoint_id}/my_effective_pause_rule_list", my_effective_rules, basis=Basis.QUOTED),
)

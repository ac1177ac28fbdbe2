"""The control plane, ``/_sandbox/…``: look at a sandbox and change it from outside; and pages for people.

It takes no credentials, which is one reason why the sandbox binds loopback only. Faults never touch it, and the
journal does not list it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from airflow_provider_globus import __version__
from airflow_provider_globus.sandbox.action_providers.weboption import landing_page, option_page
from airflow_provider_globus.sandbox.activity import activity_page
from airflow_provider_globus.sandbox.compute.page import endpoint_page
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.seed import Seed
from airflow_provider_globus.sandbox.service import Answer, Route, Service, ServiceRequest
from airflow_provider_globus.sandbox.unserved import plain_error


def _health(request: ServiceRequest) -> Answer:
    return Answer({"status": "ok", "version": __version__, "url": request.world.url})


def _state(request: ServiceRequest) -> Answer:
    return Answer(request.world.snapshot())


def _journal(request: ServiceRequest) -> Answer:
    query = request.query
    entries = request.world.journal.requests(query.get("service"), query.get("method"), query.get("path"))
    after = _number(query.get("after", "0"), "after")
    limit = _whole(query.get("limit", "1000"), "limit")
    found = [entry.as_dict() for entry in entries if entry.seq > after]
    # The newest ones: who follows the journal asks again with `after`.
    return Answer({"total": len(found), "entries": found[-limit:] if limit else []})


def _clear_journal(request: ServiceRequest) -> Answer:
    request.world.journal.clear()
    return Answer({"status": "cleared"})


def _reset(request: ServiceRequest) -> Answer:
    request.world.reset()
    return Answer({"status": "reset"})


def _seed(request: ServiceRequest) -> Answer:
    """Add what a seed document holds; ``?mark=true`` makes it what a reset goes back to."""
    _checked(lambda: Seed.load(request.json()).apply(request.world))
    if request.query.get("mark", "false").lower() == "true":
        request.world.mark()
    return Answer({"status": "seeded"}, 201)


def _settings(request: ServiceRequest) -> Answer:
    return Answer(request.world.settings.as_dict())


def _change_settings(request: ServiceRequest) -> Answer:
    changes = request.json()
    _checked(lambda: request.world.settings.update(changes))
    return _settings(request)


def _faults(request: ServiceRequest) -> Answer:
    return Answer({"faults": request.world.faults.as_list()})


def _add_fault(request: ServiceRequest) -> Answer:
    spec = request.json()
    return Answer({"id": _checked(lambda: request.world.faults.add(spec))}, 201)


def _clear_faults(request: ServiceRequest) -> Answer:
    request.world.faults.clear()
    return Answer({"faults": []})


def _remove_fault(request: ServiceRequest) -> Answer:
    fault_id = request.path_params["fault_id"]
    if not request.world.faults.remove(fault_id):
        raise ServiceError(404, "NotFound", f"There is no fault {fault_id!r}")
    return Answer({"id": fault_id, "status": "removed"})


def _clock(request: ServiceRequest) -> Answer:
    clock = request.world.clock
    return Answer({"now": clock.now().isoformat(), "scale": clock.scale, "frozen": clock.frozen})


def _change_clock(request: ServiceRequest) -> Answer:
    """Take any of ``freeze``, ``resume`` (true), ``scale``, ``advance`` (numbers), in this order."""
    document, clock = request.json(), request.world.clock
    if unknown := sorted(set(document) - {"freeze", "resume", "scale", "advance"}):
        raise ServiceError(400, "BadRequest", f"The clock takes freeze, resume, scale and advance, not {unknown}")
    numbers = {name: _number(document[name], name) for name in ("scale", "advance") if name in document}
    if document.get("freeze"):
        clock.freeze()
    if document.get("resume"):
        clock.resume()
    if "scale" in numbers:
        _checked(lambda: setattr(clock, "scale", numbers["scale"]))
    if "advance" in numbers:
        _checked(lambda: clock.advance(numbers["advance"]))
    return _clock(request)


def _revoke(request: ServiceRequest) -> Answer:
    """Revoke access tokens of an identity, or of all; with ``refresh_tokens`` and ``consents`` (true) those too.

    Takes ``{"identity_id": …, "refresh_tokens": true, "consents": true}``, any field left out; or
    ``{"client_id": …}``, which revokes that client's secret and nothing else.
    """
    document, auth = request.json(), request.world.auth
    if unknown := sorted(set(document) - {"identity_id", "refresh_tokens", "consents", "client_id"}):
        raise ServiceError(400, "BadRequest", f"Unknown fields: {', '.join(unknown)}")
    if client_id := document.get("client_id"):
        _checked(lambda: auth.revoke_secret(client_id))
        return Answer({"revoked_secret_of": client_id})
    identity_id = document.get("identity_id")
    if document.get("consents"):
        auth.withdraw_consents(identity_id)
    revoked = auth.revoke_tokens(identity_id, refresh_tokens=bool(document.get("refresh_tokens")))
    return Answer({"revoked_tokens": revoked})


def _activity(request: ServiceRequest) -> Answer:
    """Show a task to people: the page that the provider's link in the Airflow UI opens."""
    task_id = request.path_params["task_id"]
    task = request.world.transfer.task_document(task_id)
    if task is None:
        raise ServiceError(404, "NotFound", f"There is no task {task_id!r} in this sandbox")
    page = activity_page(task, request.world.transfer.task_events(task_id))
    return Answer(page, content_type="text/html")


def _compute_endpoint(request: ServiceRequest) -> Answer:
    """Show a Compute endpoint to people: the page that the provider's link in the Airflow UI opens."""
    endpoint_id, compute = request.path_params["endpoint_id"], request.world.compute
    endpoint = compute.endpoints.get(endpoint_id)
    if endpoint is None:
        raise ServiceError(404, "NotFound", f"There is no Compute endpoint {endpoint_id!r} in this sandbox")
    with compute.changed:
        tasks = [compute.look(task) for task in compute.tasks.values() if task.endpoint_id == endpoint.id]
    return Answer(endpoint_page(endpoint, tasks), content_type="text/html")


def _outbox(request: ServiceRequest) -> Answer:
    return Answer({"items": request.world.outbox.snapshot()})


def _answer_web_input(request: ServiceRequest) -> Answer:
    """Answer what a flow asks, as a person would: ``{"value": …}`` holds an option's label, value or id.

    With ``"as"``, a username, only who was asked may answer.
    """
    web_input_id, document = request.path_params["web_input_id"], request.json()
    if unknown := sorted(set(document) - {"value", "as"}):
        raise ServiceError(400, "BadRequest", f"Unknown fields: {', '.join(unknown)}")
    value, username = str(document.get("value")), document.get("as")
    web_input = _checked(lambda: request.world.flows.answer(web_input_id, value, username=username))
    return Answer({"id": web_input.id, "status": web_input.status})


def _checked(do: Callable[[], Any]) -> Any:
    """Do something and answer 400 with the reason when it is refused."""
    try:
        return do()
    except (TypeError, ValueError) as error:
        raise ServiceError(400, "BadRequest", str(error)) from None


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ServiceError(400, "BadRequest", f"{name} must be a number, not {value!r}")
    return number


def _whole(value: Any, name: str) -> int:
    try:
        return max(0, int(value))
    except ValueError:
        raise ServiceError(400, "BadRequest", f"{name} must be a whole number, not {value!r}") from None


CONTROL = Service(
    name="control",
    prefixes=("/_sandbox/", "/activity/", "/compute/endpoints/", "/weboption/"),
    routes=tuple(
        Route(method, path, handler, public=True)
        for method, path, handler in (
            ("GET", "/_sandbox/health", _health),
            ("GET", "/_sandbox/state", _state),
            ("GET", "/_sandbox/journal", _journal),
            ("DELETE", "/_sandbox/journal", _clear_journal),
            ("POST", "/_sandbox/reset", _reset),
            ("POST", "/_sandbox/seed", _seed),
            ("GET", "/_sandbox/settings", _settings),
            ("POST", "/_sandbox/settings", _change_settings),
            ("GET", "/_sandbox/faults", _faults),
            ("POST", "/_sandbox/faults", _add_fault),
            ("DELETE", "/_sandbox/faults", _clear_faults),
            ("DELETE", "/_sandbox/faults/{fault_id}", _remove_fault),
            ("GET", "/_sandbox/clock", _clock),
            ("POST", "/_sandbox/clock", _change_clock),
            ("POST", "/_sandbox/revoke", _revoke),
            ("GET", "/_sandbox/outbox", _outbox),
            ("POST", "/_sandbox/web_inputs/{web_input_id}/respond", _answer_web_input),
            ("GET", "/weboption/option/{suffix}", option_page),
            ("GET", "/weboption/landing_page/{suffix}", landing_page),
            ("GET", "/activity/{task_id}", _activity),
            ("GET", "/compute/endpoints/{endpoint_id}", _compute_endpoint),
        )
    ),
    render_error=plain_error,
)

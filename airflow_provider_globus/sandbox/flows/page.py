"""The page of a run, as the Globus web app has one: its states, its log, and what it asks people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.activity import fact_rows, page
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.flows.models import CLOSED, iso
from airflow_provider_globus.sandbox.service import Answer, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.flows.models import LogEntry, Run, WebInput
    from airflow_provider_globus.sandbox.service import ServiceRequest

_COLOURS = {"ACTIVE": "#1f5c99", "SUCCEEDED": "#2c7a3f", "FAILED": "#b3261e", "INACTIVE": "#8a6100"}
_MOST_ENTRIES = 200
_MOST_CHARACTERS = 2000


def _run_of(request: ServiceRequest) -> Run:
    run = request.world.flows.runs.get(request.path_params["run_id"])
    if run is None:
        raise ServiceError(404, "NOT_FOUND", "There is no such run in this sandbox")
    return run


def _show(request: ServiceRequest) -> Answer:
    run = _run_of(request)
    state = request.world.flows
    open_questions = [w for w in state.web_inputs.values() if w.run is run and w.status != CLOSED]
    return Answer(run_page(run, open_questions), content_type="text/html")


def _answer(request: ServiceRequest) -> Answer:
    """Take the answer of whoever looks at the page: in a sandbox, nobody has to log in."""
    run, form = _run_of(request), request.form()
    try:
        request.world.flows.answer(form.get("web_input", ""), form.get("option", ""))
    except ValueError as error:
        raise ServiceError(409, "STATE_CONFLICT", str(error)) from None
    return Answer("", 303, {"Location": f"/runs/{run.id}/logs"}, content_type="text/html")


def run_page(run: Run, questions: Iterable[WebInput]) -> str:
    """Return the page of a run; it reloads itself while nothing is asked and the run goes on."""
    asked = list(questions)
    facts = {
        "Flow": f"{run.flow_title} ({run.flow_id})",
        "Owner": run.owner_urn,
        "Started": iso(run.started_at),
        "Completed": iso(run.completed_at),
        "Tags": ", ".join(run.tags),
        "State": run.details.get("state_name"),
        "Details": f"{run.details.get('code')}: {run.details.get('description')}",
        "Needs a consent to": run.details.get("required_scope"),
    }
    return page(
        title=run.label or run.flow_title,
        status=run.status,
        colour=_COLOURS.get(run.status, "#55555a"),
        subtitle=f"Globus sandbox · run {run.id}",
        body=f"""{"".join(map(_question, asked))}
<table>{fact_rows(facts)}</table>
<table><tr><th>Time</th><th>Event</th></tr>{"".join(map(_row, reversed(run.log[-_MOST_ENTRIES:])))}</table>""",
        refreshing=not run.ended and not asked,
    )


def _question(web_input: WebInput) -> str:
    context = web_input.context
    shown = f"<p>{escape(context['text'])}</p>" if "text" in context else _rows(context["rows"])
    buttons = "".join(
        f'<p><button name="option" value="{escape(option.id)}">{escape(option.label)}</button> '
        f"{escape(option.description)}</p>"
        for option in web_input.options
    )
    return f"""<form method="post"><h2>{escape(web_input.title)}</h2>{shown}
<input type="hidden" name="web_input" value="{escape(web_input.id)}">{buttons}</form>"""


def _rows(rows: list[dict[str, str]]) -> str:
    return f"<table>{fact_rows({row['field']: row['value'] for row in rows})}</table>"


def _row(entry: LogEntry) -> str:
    kind = ' class="error"' if entry.code.endswith("Failed") else ""
    details: Any = {name: value for name, value in entry.details.items() if name not in ("state_name", "state_type")}
    text = json.dumps(details, indent=1)[:_MOST_CHARACTERS] if details else ""
    more = f"<details><summary>details</summary><pre>{escape(text)}</pre></details>" if text else ""
    said = f"<b>{escape(entry.code)}</b> {escape(entry.description)}"
    if cause := entry.details.get("cause"):
        said += f"<br>{escape(str(cause))}"
    return f"<tr{kind}><td>{escape(str(iso(entry.time)))}</td><td>{said}{more}</td></tr>"


ROUTES = (
    Route("GET", "/runs/{run_id}/logs", _show, public=True),
    Route("POST", "/runs/{run_id}/logs", _answer, public=True),
)

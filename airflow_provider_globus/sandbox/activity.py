"""The page of a transfer task, as the Globus web app has one: what it moves, how far it is, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

_COLOURS = {"ACTIVE": "#1f5c99", "SUCCEEDED": "#2c7a3f", "FAILED": "#b3261e", "INACTIVE": "#8a6100"}
_REFRESH_SECONDS = 2
_MOST_EVENTS = 50
_ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><circle cx="1" cy="1" r="1" fill="{colour}"/></svg>'

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: #1c1c1e; background: #f4f5f7; }
main { max-width: 52rem; margin: 2rem auto; padding: 1.5rem 2rem; background: #fff; border-radius: 8px;
       box-shadow: 0 1px 4px rgb(0 0 0 / 12%); }
h1 { font-size: 1.3rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
small { color: #6b6b70; overflow-wrap: anywhere; }
.status { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; color: #fff; font-size: .85rem; }
progress { width: 100%; height: .9rem; margin: 1rem 0 .25rem; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ececef;
         overflow-wrap: anywhere; }
th { font-weight: 600; color: #55555a; width: 12rem; }
.error td { color: #b3261e; }
pre { margin: 0; white-space: pre-wrap; font-size: .85rem; }
"""


def activity_page(task: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> str:
    """Return the page of a task from its wire document and its events; it reloads itself until the task is done."""
    status = str(task["status"])
    return page(
        title=str(task.get("label") or f"{str(task['type']).capitalize()} task"),
        status=status,
        colour=_COLOURS.get(status, "#55555a"),
        subtitle=f"Globus sandbox · task {task['task_id']}",
        body=f"""{_progress(task)}
<table>{fact_rows(_facts(task))}</table>
<table><tr><th>Time</th><th>Event</th><th>Details</th></tr>{_events(events)}</table>""",
        refreshing=status not in ("SUCCEEDED", "FAILED"),
    )


def page(*, title: str, status: str, colour: str, subtitle: str, body: str, refreshing: bool) -> str:
    """Return a page about something that has a status; `body` is HTML, the rest is text."""
    refresh = f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">' if refreshing else ""
    # In the page itself: a browser would ask for one, which no service has.
    icon = quote(_ICON.format(colour=colour))
    title, status = escape(title), escape(status)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{refresh}
<link rel="icon" href="data:image/svg+xml,{icon}">
<title>{title} · {status} · Globus sandbox</title><style>{_STYLE}</style></head>
<body><main>
<h1>{title} <span class="status" style="background:{colour}">{status}</span></h1>
<small>{escape(subtitle)}</small>
{body}
</main></body></html>
"""


def _progress(task: Mapping[str, Any]) -> str:
    total, pending = task.get("subtasks_total") or 0, task.get("subtasks_pending") or 0
    done = max(0, total - pending - (task.get("subtasks_retrying") or 0))
    return f'<progress max="{max(total, 1)}" value="{done if total else 0}"></progress>'


def _facts(task: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "From": task.get("source_endpoint_display_name"),
        "To": task.get("destination_endpoint_display_name"),
        "Owner": task.get("owner_string"),
        "Requested": task.get("request_time"),
        "Completed": task.get("completion_time"),
        "Deadline": task.get("deadline"),
        "Files": f"{task.get('files_transferred') or 0} of {task.get('files') or 0}"
        if task["type"] == "TRANSFER"
        else task.get("files"),
        "Bytes transferred": f"{task.get('bytes_transferred') or 0:,}",
        "Bytes a second": f"{task.get('effective_bytes_per_second') or 0:,}",
        "Faults": task.get("faults"),
        "Files skipped": task.get("files_skipped"),
        "Condition": task.get("nice_status"),
        "Condition details": task.get("nice_status_details"),
    }
    if error := task.get("fatal_error"):
        facts["Error"] = f"{error.get('code')}: {error.get('description')}"
    return facts


def fact_rows(facts: Mapping[str, Any]) -> str:
    """Return a table row for each fact that is known."""
    return "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, "")
    )


def _events(events: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for event in list(events)[:_MOST_EVENTS]:
        kind = ' class="error"' if event.get("is_error") else ""
        text = f"<b>{escape(str(event.get('code')))}</b> {escape(str(event.get('description') or ''))}"
        details = f"<pre>{escape(str(event.get('details') or ''))}</pre>"
        rows.append(f"<tr{kind}><td>{escape(str(event.get('time')))}</td><td>{text}</td><td>{details}</td></tr>")
    return "".join(rows)

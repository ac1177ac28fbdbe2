"""Runs of Globus Flows, and what they ask people: how to ask after many, read their state, and cancel them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusNotFoundError,
    GlobusUnavailableError,
)
from airflow_provider_globus.jobs.base import Condition, Document, JobService, Outcome, Verdict, fetch_each

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

UNFINISHED = ("ACTIVE", "INACTIVE")
ROLES = ("run_owner", "run_manager", "run_monitor")

#: Pages of unfinished runs that a round reads at most; runs that are on none of them are asked for one by one.
_PAGES = 5
#: Runs whose log is read in a round; of more, some chosen at random.
LOGS_A_ROUND = 5
#: Entries of a log that a look reads, and an error quotes.
_ENTRIES, _QUOTED = 100, 5
#: Pages of a log that are read at the end.
_LAST_PAGES = 20


class FlowRuns(JobService):
    """
    Runs of flows.

    The Flows API answers for one run at a time (``GET /runs/{id}``) and lists runs by status, not by id. So one run is
    asked for by itself, and more are looked for in the list of unfinished runs, 100 on a page; a run that is not in
    it has ended, and is asked for once. A round for n runs takes ``n / 100`` calls, one more for each run that has
    ended, and at most five for the entries of run logs.
    """

    name = "flows"
    noun = "Globus flow run"
    batch_size = 100
    # Globus publishes no limit for Flows; ten calls a second is half of what it allows for Transfer.
    pause = 0.1

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """Ask after runs; some documents carry the ``log``'s latest entries, all of them their ``url``."""
        found = {} if len(job_ids) == 1 else _unfinished(hook, job_ids)
        others = [job_id for job_id in job_ids if job_id not in found]
        found |= fetch_each(others, lambda run_id: run_document(hook, run_id), self.pause)
        waiting = [run_id for run_id, run in found.items() if run["status"] in UNFINISHED]
        # Which ones is left to chance, since nothing is kept from round to round. Not a secret, either.
        for run_id in random.sample(waiting, min(len(waiting), LOGS_A_ROUND)):
            found[run_id]["log"] = _latest_entries(hook, run_id, _ENTRIES)
        for run_id, run in found.items():
            run["url"] = self.url(hook.settings.web_app_url, run_id)
        return found

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """
        Decide how a run stands.

        Rules: ``inactive_grace`` (seconds that it may stay suspended, for somebody to resume it).
        """
        (run,) = documents
        if run is None:
            return Verdict(Outcome.LOST, "Globus does not know the run (any more).", "NOT_FOUND")
        details = run.get("details") or {}
        status, result = run["status"], summary(run)
        if status == "SUCCEEDED":
            return Verdict(Outcome.SUCCEEDED, "", None, "", result)
        if status not in UNFINISHED:
            code = str(details.get("code") or status)
            return Verdict(Outcome.FAILED, f"{code}: {reason(details) or 'no reason given'}.", code, "", result)
        if status == "INACTIVE":
            return _judge_suspended(details, result, rules, memory, now)
        memory.pop("suspended_since", None)
        return Verdict(Outcome.RUNNING, "", None, _progress(run, details), result)

    def cancel(self, hook: GlobusHook, job_id: str) -> str:
        """Cancel a run; Flows also cancels the action that it waits for."""
        client = hook.flows_client()
        try:
            run = hook.call(f"cancelling run {job_id}", client.cancel_run, job_id)
        except GlobusNotFoundError:
            return "Globus does not know the run."
        except (GlobusConflictError, GlobusBadRequestError) as error:
            return f"it cannot be cancelled (any more). {error.message}"
        return f"it is {run.get('status')} now"

    def news(self, documents: Sequence[Document | None], memory: dict[str, Any]) -> list[str]:
        """The states that were entered and left since the last look."""
        return [line for run in documents if run is not None for line in _unseen(run.get("log") or [], memory)]

    def last_news(self, hook: GlobusHook, job_id: str, memory: dict[str, Any]) -> list[str]:
        """The rest of the run's log."""
        return _unseen(_entries_since(hook, job_id, memory), memory)

    def explain(self, hook: GlobusHook, job_id: str) -> list[str]:
        """The last entries of the run's log, newest first."""
        return [f"{entry['time']} {_line(entry)}" for entry in reversed(_latest_entries(hook, job_id, _QUOTED))]

    def url(self, web_app_url: str, job_id: str) -> str:
        """The run's page in the web app."""
        return f"{web_app_url}/runs/{job_id}/logs"


class WebInputs(Condition):
    """
    What runs ask people: questions that have to be asked, or to be answered.

    A job id is ``open:<run id>`` (the run asks something), or ``closed:<web input id>`` (it was answered).
    """

    name = "web-inputs"
    noun = "web input"
    batch_size = 10
    pause = 0.1

    def fetch(self, hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
        """One call for all runs that may ask something, one for each question that was asked."""
        found: dict[str, Document] = {}
        asking = [job_id.partition(":")[2] for job_id in job_ids if job_id.startswith("open:")]
        if asking:
            found |= _questions(hook, asking)
        client = hook.flows_client(polling=True)

        def ask(job_id: str) -> Document:
            web_input_id = job_id.partition(":")[2]
            return hook.call(f"asking after web input {web_input_id}", client.get_web_input, web_input_id)

        found |= fetch_each([job_id for job_id in job_ids if job_id.startswith("closed:")], ask, self.pause)
        for document in found.values():
            if "run" in document:
                document["url"] = FlowRuns().url(hook.settings.web_app_url, str(document["run"]["id"]))
        return found

    def judge(
        self,
        documents: Sequence[Document | None],
        rules: Mapping[str, Any],
        memory: dict[str, Any],
        now: float,
    ) -> Verdict:
        """Decide whether a question was asked, or answered. Rules: ``wait_for`` (``open`` or ``closed``)."""
        (document,) = documents
        if document is None:
            return Verdict(Outcome.LOST, "Globus does not know the run or web input (any more).", "NOT_FOUND")
        if ended := document.get("ended"):
            message = f"The run has ended ({ended}) without asking anything (any more)."
            return Verdict(Outcome.FAILED, message, str(ended))
        if "id" not in document:
            return Verdict(Outcome.RUNNING, progress="nothing is asked yet")
        question = web_input_summary(document)
        if rules.get("wait_for") == "open" or document["status"] != "open":
            return Verdict(Outcome.SUCCEEDED, "", None, "", question)
        choices = ", ".join(option["label"] for option in question["options"])
        return Verdict(
            Outcome.RUNNING, progress=f"{question['title']!r} ({choices}) waits for an answer: {question['url']}"
        )


def run_document(hook: GlobusHook, run_id: str) -> Document:
    """A run, with its output once it has succeeded."""
    client = hook.flows_client(polling=True)
    return hook.call(f"asking after run {run_id}", client.get_run, run_id)


def summary(run: Document) -> dict[str, Any]:
    """What is worth knowing of a run; not its output, which may be large."""
    details = run.get("details") or {}
    facts = {name: run.get(name) for name in ("run_id", "flow_id", "flow_title", "label", "status")}
    facts |= {name: run.get(name) for name in ("start_time", "completion_time")}
    if run["status"] == "INACTIVE":
        facts["required_scope"] = details.get("required_scope")
    if run["status"] not in ("SUCCEEDED", *UNFINISHED):
        facts["error"] = error_name(details)
    return facts


def error_name(details: Mapping[str, Any]) -> str | None:
    """The name of the flow's own error, such as that of a ``Fail`` state."""
    inner = details.get("details")
    inner = inner if isinstance(inner, Mapping) else {}
    name = inner.get("exception") or inner.get("error") or inner.get("Error") or details.get("error")
    return None if name is None else str(name)


def reason(details: Mapping[str, Any]) -> str:
    """Why a run has failed or is suspended, in one line, with the state that did."""
    inner = details.get("details")
    inner = inner if isinstance(inner, Mapping) else {}
    said = [str(details.get("description") or details.get("cause") or "")]
    if cause := inner.get("cause") or inner.get("Cause"):
        said.append(str(cause))
    if error := error_name(details):
        said.append(error)
    state = details.get("state_name") or inner.get("state_name")
    text = ": ".join(dict.fromkeys(part.rstrip(".") for part in said if part))
    text = " ".join(text.split())[:1000]
    return f"in state {state!r}: {text}" if state else text


def web_input_summary(document: Document) -> dict[str, Any]:
    """What is worth knowing of a question: what is asked, the options, where to answer."""
    return {
        "web_input_id": document["id"],
        "run_id": (document.get("run") or {}).get("id"),
        "status": document["status"],
        "title": (document.get("context") or {}).get("title") or "",
        "options": [
            {name: option.get(name) for name in ("option_id", "label", "description")}
            for option in document.get("options") or []
        ],
        "url": document.get("url"),
    }


def _judge_suspended(
    details: Mapping[str, Any], result: dict[str, Any], rules: Mapping[str, Any], memory: dict[str, Any], now: float
) -> Verdict:
    code = str(details.get("code") or "INACTIVE")
    message = f"Globus suspended the run ({code}): {reason(details) or 'no reason given'}."
    if scope := details.get("required_scope"):
        message += f" It needs a consent to the scope {scope}."
    grace = float(rules.get("inactive_grace", 0))
    lasted = now - memory.setdefault("suspended_since", now)
    if lasted < grace:
        return Verdict(Outcome.RUNNING, message, code, f"INACTIVE; {message} (tolerated for {grace:.0f} s)", result)
    return Verdict(Outcome.INACTIVE, message, code, "", result)


def _progress(run: Document, details: Mapping[str, Any]) -> str:
    if web_input := run.get("blocking_web_input_id"):
        return f"waits for a person's answer at {run.get('url')} (web input {web_input})"
    state = details.get("state_name")
    described = " ".join(str(details.get("description") or "").split())[:200]
    return "ACTIVE" + (f" in state {state!r}" if state else "") + (f"; {described}" if described else "")


def run_pages(hook: GlobusHook, doing: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the runs that this identity may see, page by page; ``query`` is that of Globus's list of runs."""
    client = hook.flows_client(polling=True)
    query = {"per_page": 100, **query}
    while True:
        answer = hook.call(doing, client.list_runs, filter_roles=ROLES, query_params=dict(query))
        yield answer["runs"]
        if not answer.get("has_next_page"):
            return
        if answer.get("marker") in (None, query.get("marker")):
            raise GlobusUnavailableError(f"Globus promises more when {doing}, and does not say where to go on.")
        query["marker"] = answer["marker"]


def _unfinished(hook: GlobusHook, job_ids: Sequence[str]) -> dict[str, Document]:
    """Those of the runs that have not ended; a suspended one only if the list says why."""
    wanted, found = set(job_ids), {}
    unfinished = {"filter_status": ",".join(UNFINISHED), "orderby": "start_time DESC"}
    for page in islice(run_pages(hook, f"asking after {len(job_ids)} runs", **unfinished), _PAGES):
        for run in page:
            # Lists leave the details of high-assurance flows out.
            if run["run_id"] in wanted and (run["status"] == "ACTIVE" or run.get("details")):
                found[str(run["run_id"])] = dict(run)
        if len(found) == len(wanted):
            break
    return found


def _latest_entries(hook: GlobusHook, run_id: str, count: int) -> list[dict[str, Any]]:
    """The last entries of a run's log, in the order in which they were written."""
    client = hook.flows_client(polling=True)
    doing = f"reading the log of run {run_id}"
    answer = hook.call(doing, client.get_run_logs, run_id, limit=count, reverse_order=True)
    return list(reversed(answer["entries"]))


def _entries_since(hook: GlobusHook, run_id: str, memory: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a run's log that may not have been told, in the order in which they were written."""
    client = hook.flows_client(polling=True)
    entries: list[dict[str, Any]] = []
    marker: dict[str, Any] = {}
    for _ in range(_LAST_PAGES):
        doing = f"reading the log of run {run_id}"
        answer = hook.call(doing, client.get_run_logs, run_id, limit=_ENTRIES, reverse_order=True, **marker)
        entries += answer["entries"]
        told = str(memory.get("told_until", ""))
        if not answer.get("has_next_page") or (entries and str(entries[-1]["time"]) < told):
            break
        marker = {"marker": answer["marker"]}
    return entries[::-1]


def _unseen(entries: Sequence[Mapping[str, Any]], memory: dict[str, Any]) -> list[str]:
    """Lines for the entries that were not told yet. Entries have no id: time and text make one."""
    until, at_that_time = memory.get("told_until", ""), list(memory.get("told", []))
    lines = []
    for entry in entries:
        when, line = str(entry["time"]), _line(entry)
        if when < until or (when == until and line in at_that_time):
            continue
        if when > until:
            until, at_that_time = when, []
        at_that_time.append(line)
        lines.append(line)
    memory.update(told_until=until, told=at_that_time)
    return lines


def _line(entry: Mapping[str, Any]) -> str:
    details = entry.get("details") or {}
    line = f"{entry['code']}: {entry['description']}"
    why = details.get("cause") or details.get("Cause") or details.get("exception")
    return f"{line}: {' '.join(str(why).split())[:400]}" if why else line


def _questions(hook: GlobusHook, run_ids: Sequence[str]) -> dict[str, Document]:
    """For each run the oldest open question, or that there is none, or that there will be none."""
    client = hook.flows_client(polling=True)
    answer = hook.call(
        f"asking what {len(run_ids)} runs ask",
        client.list_web_inputs,
        filter_states="open",
        filter_run_ids=run_ids,
        orderby="created_timestamp ASC",
        per_page=100,
    )
    asked: dict[str, str] = {}
    for summary in answer["web_input_summaries"]:
        asked.setdefault(str(summary["run"]["id"]), str(summary["id"]))
    found: dict[str, Document] = {}
    for run_id, web_input_id in asked.items():
        # The list leaves the options out; whoever waits for the question asks no more after this.
        doing = f"looking up web input {web_input_id}"
        found[f"open:{run_id}"] = hook.call(doing, client.get_web_input, web_input_id)
    quiet = [run_id for run_id in run_ids if f"open:{run_id}" not in found]
    unfinished = _unfinished(hook, quiet) if len(quiet) > 1 else {}
    others = [run_id for run_id in quiet if run_id not in unfinished]
    runs = unfinished | fetch_each(others, lambda run_id: run_document(hook, run_id), WebInputs.pause)
    for run_id, run in runs.items():
        ended = run["status"] not in UNFINISHED
        found[f"open:{run_id}"] = {"ended": run["status"]} if ended else {}
    return found

"""Reads requests that start a run: every field is checked before anything is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.flow_language.validation import Problem
from airflow_provider_globus.sandbox.flows import errors
from airflow_provider_globus.sandbox.flows.access import is_principal
from airflow_provider_globus.sandbox.json_schema import findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox.flows.models import Flow

# The service is known to take 64 everywhere; recordings show no longer one.
LABEL_LENGTH = 64
MOST_TAGS = 10
MOST_PRINCIPALS = 16
_FIELDS = ("body", "label", "tags", "run_managers", "run_monitors", "activity_notification_policy")
_NOTIFIED = ("INACTIVE", "FAILED", "SUCCEEDED")


@dataclass
class RunRequest:
    """A checked request."""

    body: dict[str, Any]
    label: str = ""
    tags: list[str] = field(default_factory=list)
    managers: list[str] = field(default_factory=list)
    monitors: list[str] = field(default_factory=list)


def parse_run_request(document: Mapping[str, Any], flow: Flow) -> RunRequest:
    """Return the checked request to run a flow, or refuse it."""
    problems = list(_problems(document))
    if problems:
        raise errors.unprocessable(problems)
    check_body(flow, document["body"])
    return RunRequest(
        body=dict(document["body"]),
        label=document.get("label") or "",
        tags=list(document.get("tags") or ()),
        managers=list(document.get("run_managers") or ()),
        monitors=list(document.get("run_monitors") or ()),
    )


def check_body(flow: Flow, body: Mapping[str, Any]) -> None:
    """Refuse an input that the flow's schema does not allow."""
    given = {key: value for key, value in body.items() if key != "_tokens"}
    if found := findings(flow.input_schema, given):
        raise errors.invalid_input([(item.json_path, item.message) for item in found])


def changes_of_run(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked changes of a run: label, tags, who may see and manage it."""
    given = {key: value for key, value in document.items() if value is not None}
    if unknown := [name for name in given if name not in ("label", "tags", "run_managers", "run_monitors")]:
        raise errors.unprocessable(
            [Problem((name,), "extra fields not permitted", "value_error.extra") for name in unknown]
        )
    if problems := list(_named_problems(given)):
        raise errors.unprocessable(problems)
    names = {"label": "label", "tags": "tags", "run_managers": "managers", "run_monitors": "monitors"}
    return {names[name]: value for name, value in given.items()}


def _problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    for name in document:
        if name not in _FIELDS:
            yield Problem((name,), "extra fields not permitted", "value_error.extra")
    if not isinstance(document.get("body"), Mapping):
        yield Problem(("body",), "value is not a valid dict", "type_error.dict")
    policy = document.get("activity_notification_policy")
    if policy is not None:
        statuses = policy.get("status") if isinstance(policy, Mapping) else None
        if not isinstance(statuses, list) or set(map(str, statuses)) - set(_NOTIFIED):
            yield Problem(("activity_notification_policy", "status"), f"must be a list of {', '.join(_NOTIFIED)}")
    yield from _named_problems(document)


def _named_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    label = document.get("label")
    if label is not None and (not isinstance(label, str) or not 1 <= len(label) <= LABEL_LENGTH):
        yield Problem(("label",), f"must be text of 1 to {LABEL_LENGTH} characters")
    tags = document.get("tags")
    if tags is not None and (not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags)):
        yield Problem(("tags",), "must be a list of words", "type_error.list")
    elif tags and len(tags) > MOST_TAGS:
        yield Problem(("tags",), f"must not have more than {MOST_TAGS} items")
    for name in ("run_managers", "run_monitors"):
        yield from principal_problems(name, document.get(name))


def principal_problems(name: str, given: Any, *, words: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Return what is wrong with a list of principals."""
    if given is None:
        return
    if not isinstance(given, list):
        yield Problem((name,), "value is not a valid list", "type_error.list")
        return
    if len(given) > MOST_PRINCIPALS:
        yield Problem((name,), f"must not have more than {MOST_PRINCIPALS} items")
    role = "".join(part.capitalize() for part in name.removesuffix("s").split("_"))
    kinds = ", ".join(["<AuthGroupUrn>", "<AuthIdentityUrn>", *words])
    for number, principal in enumerate(given):
        if not is_principal(principal, words=words):
            yield Problem(
                (name, number),
                f'Unrecognized principal string: "{principal}". Allowed principal types in role "{role}": [{kinds}]',
            )

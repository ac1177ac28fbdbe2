"""Reads what a flow's state asks people: a choice of options, with something to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.flows.access import is_principal
from airflow_provider_globus.sandbox.flows.models import Option, WebInput

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.flows.models import Run
    from airflow_provider_globus.sandbox.world import World

_FIELDS = {"InputType", "Context", "Options", "RespondentUrns", "ViewerUrns"}


def parse_web_input(world: World, run: Run, parameters: Mapping[str, Any]) -> WebInput:
    """Return the web input of a state's parameters; ValueError says what is wrong with them."""
    if unknown := sorted(set(parameters) - _FIELDS):
        raise ValueError(f"a web input has no {', '.join(unknown)}; it may have {', '.join(sorted(_FIELDS))}")
    if parameters.get("InputType") != "Selection":
        raise ValueError(f"InputType must be 'Selection', not {parameters.get('InputType')!r}")
    context = _context(parameters.get("Context"))
    now = world.clock.time()
    return WebInput(
        id=world.new_id(),
        run=run,
        title=context["title"],
        context=context,
        options=_options(world, parameters.get("Options")),
        respondents=_urns("RespondentUrns", parameters.get("RespondentUrns"), required=True),
        viewers=_urns("ViewerUrns", parameters.get("ViewerUrns")),
        created_at=now,
        expires_at=now + world.settings.web_input_seconds,
    )


def _context(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not isinstance(given.get("Title"), str):
        raise ValueError("Context must be an object with a Title")
    style = given.get("PresentationStyle")
    context: dict[str, Any] = {"title": given["Title"], "presentation_style": str(style).lower()}
    if style == "Text":
        if not isinstance(given.get("Text"), str):
            raise ValueError("A Context of the PresentationStyle Text needs a Text")
        return {**context, "text": given["Text"]}
    if style == "Table":
        rows = given.get("Rows")
        if not isinstance(rows, list) or not all(isinstance(r, Mapping) and {"Field", "Value"} <= set(r) for r in rows):
            raise ValueError("A Context of the PresentationStyle Table needs Rows, each with Field and Value")
        return {**context, "rows": [{"field": str(row["Field"]), "value": str(row["Value"])} for row in rows]}
    raise ValueError(f"PresentationStyle must be 'Text' or 'Table', not {style!r}")


def _options(world: World, given: Any) -> list[Option]:
    if not isinstance(given, list) or not given:
        raise ValueError("Options must be a list of at least one option")
    options = []
    for option in given:
        if not isinstance(option, Mapping) or not all(isinstance(option.get(f), str) for f in ("Value", "Label")):
            raise ValueError("Each option needs a Value and a Label")
        description = str(option.get("Description") or "")
        options.append(Option(world.new_id(), option["Value"], option["Label"], description))
    if len({option.value for option in options}) != len(options):
        raise ValueError("Two options have the same Value")
    return options


def _urns(name: str, given: Any, *, required: bool = False) -> list[str]:
    if given is None and not required:
        return []
    if not isinstance(given, list) or not all(map(is_principal, given)) or (required and not given):
        raise ValueError(f"{name} must be a list of URNs of identities and groups")
    return list(given)

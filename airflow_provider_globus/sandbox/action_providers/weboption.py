"""A choice on a web page: the flow goes on when somebody opens the address of one of the options."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import (
    ACTIVE,
    SUCCEEDED,
    Action,
    ActionRefused,
    Progress,
)
from airflow_provider_globus.sandbox.activity import page
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.service import Answer

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest

_COLOUR = "#1f5c99"


class WaitForOptionProvider:
    """Waits until one of its options was opened; the pages are below ``/weboption/`` of the sandbox.

    Whoever opens a page may choose: the sandbox has no login that could tell who is in ``selectable_by``.
    """

    title: ClassVar[str] = "Wait For User Option Selection"
    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/weboption/wait_for_option",)
    scope: ClassVar[str] = (
        "https://auth.globus.org/scopes/5fac2e64-c734-4e6b-90ea-ff12ddbf9653/weboption_wait_for_option"
    )
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "options": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("name", "description", "url_suffix")},
                    "required": ["name", "url_suffix"],
                },
            },
            "landing_page": {"type": ["object", "null"]},
        },
        "required": ["options"],
    }

    def start(self, action: Action) -> Progress:
        """Put the options on their pages."""
        options = {option["url_suffix"]: dict(option) for option in action.body["options"]}
        landing = action.body.get("landing_page") or {}
        suffixes = [*options, *([landing["url_suffix"]] if landing.get("url_suffix") else [])]
        if len(set(suffixes)) != len(action.body["options"]) + bool(landing.get("url_suffix")):
            raise ActionRefused(400, "RequestValidationError", "Two options have the same url_suffix")
        pages = action.world.flows.option_pages
        if taken := [suffix for suffix in suffixes if suffix in pages and pages[suffix] is not action]:
            raise ActionRefused(409, "ActionConflict", f"There already is an option at {', '.join(taken)}")
        action.memory["options"] = options
        pages.update(dict.fromkeys(suffixes, action))
        return self.progress(action)

    def progress(self, action: Action) -> Progress:
        """Tell what was chosen, if anything was."""
        if chosen := action.memory.get("chosen"):
            self.cancel(action)
            return Progress(SUCCEEDED, chosen)
        urls = {suffix: f"{action.world.url}/weboption/option/{suffix}" for suffix in action.memory["options"]}
        options = [{**option, "url": urls[suffix]} for suffix, option in action.memory["options"].items()]
        return Progress(ACTIVE, {"options": options})

    def cancel(self, action: Action) -> None:
        """Take the pages away."""
        pages = action.world.flows.option_pages
        for suffix in [suffix for suffix, owner in pages.items() if owner is action]:
            del pages[suffix]


def option_page(request: ServiceRequest) -> Answer:
    """Choose an option, as the page that people were sent does."""
    suffix = request.path_params["suffix"]
    action: Action | None = request.world.flows.option_pages.get(suffix)
    option = action.memory["options"].get(suffix) if action is not None else None
    if action is None or option is None:
        raise _no_option(suffix)
    parameters = dict(request.query.items())
    more = {"parameters": parameters} if parameters else {}
    chosen = {"name": option["name"], "url_suffix": suffix, **more}
    # The first choice counts, also of two at once.
    if action.memory.setdefault("chosen", chosen) is not chosen:
        raise _no_option(suffix)
    message = option.get("completed_message") or f"You have chosen {option['name']}."
    text = page(
        title=option["name"],
        status="chosen",
        colour=_COLOUR,
        subtitle="Globus sandbox",
        body=f"<p>{escape(message)}</p>",
        refreshing=False,
    )
    return Answer(text, content_type="text/html")


def _no_option(suffix: str) -> ServiceError:
    return ServiceError(404, "NotFound", f"There is no option {suffix!r}, or one was chosen already")


def landing_page(request: ServiceRequest) -> Answer:
    """List the options."""
    suffix = request.path_params["suffix"]
    action: Action | None = request.world.flows.option_pages.get(suffix)
    if action is None or suffix in action.memory["options"] or "chosen" in action.memory:
        raise ServiceError(404, "NotFound", f"There is no landing page {suffix!r}, or an option was chosen already")
    return Answer(_landing(action), content_type="text/html")


def _landing(action: Action) -> str:
    landing = action.body["landing_page"]
    links = "".join(
        f'<li><a href="/weboption/option/{escape(suffix)}">{escape(option["name"])}</a> '
        f"{escape(option.get('description') or '')}</li>"
        for suffix, option in action.memory["options"].items()
    )
    return page(
        title=landing.get("page_title") or "Choose an option",
        status="open",
        colour=_COLOUR,
        subtitle="Globus sandbox",
        body=f"<p>{escape(landing.get('preamble_text') or '')}</p><ul>{links}</ul>",
        refreshing=False,
    )

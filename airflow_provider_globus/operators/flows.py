"""Definitions of Globus Flows: deployed and deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.exceptions import (
    GlobusFlowNameError,
    GlobusNotFoundError,
    GlobusUnavailableError,
)
from airflow_provider_globus.looks import look_for
from airflow_provider_globus.operators.base import GlobusOperator
from airflow_provider_globus.operators.documents import read_document
from airflow_provider_globus.operators.principals import principal_urns

if TYPE_CHECKING:
    from airflow.sdk import Context

TITLE_LENGTH = 128

#: Who may do what with a flow, in the words of the Flows API.
_PRINCIPALS = ("flow_viewers", "flow_starters", "flow_administrators", "run_managers", "run_monitors")


class GlobusDeployFlowOperator(GlobusOperator):
    """
    Make a flow what this operator says: create it, change what differs, or do nothing.

    The flow is found by ``flow_id``, else by its title among the flows that this identity owns or administers. The
    definition is checked by Globus before anything is written. Only what is given is compared and changed; an empty
    list takes everybody out of a role. Returns ``flow_id``, ``title``, ``scope`` and ``action`` (``created``,
    ``updated`` or ``unchanged``).

    :param title: the flow's title, up to 128 characters; without ``flow_id``, also how the flow is found again.
    :param definition: the flow: a dict, JSON or YAML text, or the path of a ``.json``, ``.yaml`` or ``.yml`` file,
        relative to the DAG file's folder, in which Jinja templates are rendered.
    :param input_schema: JSON schema of a run's input, given in the same ways. Default: anything is taken.
    :param flow_id: UUID of the flow, or alias of the connection, when its title is not to be trusted.
    :param subtitle: a line about it.
    :param description: what it does and for whom.
    :param keywords: words to find it by.
    :param flow_viewers: who may see it: usernames or UUIDs of identities, URNs of identities and groups, or
        ``public``.
    :param flow_starters: who may run it; also ``all_authenticated_users``.
    :param flow_administrators: who may change it.
    :param run_managers: who may manage all its runs.
    :param run_monitors: who may see all its runs.
    :param subscription_id: the Globus subscription that it counts for, or ``DEFAULT``. Without one, an identity may
        have one flow, for 30 days.
    :param authentication_policy_id: policy that people have to meet; set when the flow is created, and on updates. The
        sandbox, in which nobody logs in, does not serve it.
    """

    template_fields: Sequence[str] = (
        "title",
        "definition",
        "input_schema",
        "flow_id",
        "subtitle",
        "description",
        "keywords",
        *_PRINCIPALS,
        "subscription_id",
        "authentication_policy_id",
        "globus_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"definition": "json", "input_schema": "json"}
    ui_color = "#e4dcf5"

    def __init__(
        self,
        *,
        title: str,
        definition: Any,
        input_schema: Any = None,
        flow_id: str | None = None,
        subtitle: str | None = None,
        description: str | None = None,
        keywords: Sequence[str] | None = None,
        flow_viewers: Sequence[str] | None = None,
        flow_starters: Sequence[str] | None = None,
        flow_administrators: Sequence[str] | None = None,
        run_managers: Sequence[str] | None = None,
        run_monitors: Sequence[str] | None = None,
        subscription_id: str | None = None,
        authentication_policy_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.title = title
        self.definition = definition
        self.input_schema = input_schema
        self.flow_id = flow_id
        self.subtitle = subtitle
        self.description = description
        self.keywords = keywords
        self.flow_viewers = flow_viewers
        self.flow_starters = flow_starters
        self.flow_administrators = flow_administrators
        self.run_managers = run_managers
        self.run_monitors = run_monitors
        self.subscription_id = subscription_id
        self.authentication_policy_id = authentication_policy_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Create, update, or leave the flow."""
        wanted = self._wanted(context)
        existing = self._existing()
        if existing is not None:
            changes = {name: value for name, value in wanted.items() if not _same(name, value, existing.get(name))}
            if not changes:
                return self._report("unchanged", existing)
        self._validate(wanted)
        if existing is None:
            return self._report("created", self._create(wanted))
        self.log.info("Changing %s of the flow %s.", ", ".join(sorted(changes)), existing["id"])
        client = self.hook.flows_client()
        doing = f"updating the flow {self.title!r}"
        return self._report("updated", self.hook.call(doing, client.update_flow, existing["id"], **changes))

    def _wanted(self, context: Context) -> dict[str, Any]:
        if not isinstance(self.title, str) or not 0 < len(self.title.strip()) <= TITLE_LENGTH:
            raise self.refuse(f"title {self.title!r} must have 1 to {TITLE_LENGTH} characters.")
        definition = read_document(self, context, "definition", self.definition)
        if "States" not in definition or "StartAt" not in definition:
            raise self.refuse("definition has no StartAt or no States.", "Is it the definition alone?")
        given: dict[str, Any] = {
            "title": self.title,
            "definition": definition,
            "subtitle": self.subtitle,
            "description": self.description,
            "keywords": None if self.keywords is None else list(self.keywords),
            "subscription_id": self.subscription_id,
            "authentication_policy_id": self.authentication_policy_id,
        }
        if self.input_schema is not None:
            given["input_schema"] = read_document(self, context, "input_schema", self.input_schema)
        for name in _PRINCIPALS:
            if (principals := getattr(self, name)) is not None:
                given[name] = principal_urns(self.hook, principals)
        return {name: value for name, value in given.items() if value is not None}

    def _existing(self) -> dict[str, Any] | None:
        client = self.hook.flows_client()
        if self.flow_id:
            flow_id = self.hook.flow(self.flow_id)
        else:
            owned = self.hook.flows_titled(self.title, filter_roles="flow_owner,flow_administrator")
            found = [flow for flow in owned if flow["title"] == self.title]
            if len(found) > 1:
                listed = ", ".join(flow["id"] for flow in found)
                raise GlobusFlowNameError(
                    f"{len(found)} flows of this identity are titled {self.title!r}: {listed}.",
                    advice="Say which one with flow_id, or delete the others.",
                )
            if not found:
                return None
            flow_id = str(found[0]["id"])
        return self.hook.call(f"looking up the flow {flow_id}", client.get_flow, flow_id)

    def _validate(self, wanted: Mapping[str, Any]) -> None:
        client = self.hook.flows_client()
        document = {name: wanted[name] for name in ("definition", "input_schema") if name in wanted}
        answer = self.hook.call(f"checking the definition of {self.title!r}", client.validate_flow, **document)
        if scopes := answer.get("scopes"):
            self.log.info("The flow will use: %s", json.dumps(scopes))

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        client = self.hook.flows_client(resend=False)
        document = {"input_schema": {}, **wanted}
        try:
            return self.hook.call(f"creating the flow {self.title!r}", client.create_flow, **document)
        except GlobusUnavailableError as error:
            # The service may have made it without our hearing of it: another one would be one too many.
            self.log.warning("%s Looking whether the flow was created.", error.message)
            if (created := look_for(self._existing, stop=self._killed, killed=error)) is None:
                raise
            return created

    def _report(self, action: str, flow: Mapping[str, Any]) -> dict[str, Any]:
        self.log.info("The flow %r (%s) is %s.", flow["title"], flow["id"], action)
        return {
            "flow_id": str(flow["id"]),
            "title": flow["title"],
            "scope": flow.get("globus_auth_scope"),
            "action": action,
        }


class GlobusDeleteFlowOperator(GlobusOperator):
    """
    Delete a flow; its runs that are under way go on. Returns its id, or ``None`` when there was none.

    :param flow: UUID of the flow, alias of the connection, or title of exactly one flow that this identity can see.
    :param ignore_missing: succeed when there is no such flow (any more).
    """

    template_fields: Sequence[str] = ("flow", "globus_conn_id")

    def __init__(self, *, flow: str, ignore_missing: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.flow = flow
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> str | None:
        """Delete the flow."""
        client = self.hook.flows_client()
        try:
            flow_id = self._flow_id()
            self.hook.call(f"deleting the flow {self.flow!r}", client.delete_flow, flow_id)
        except GlobusNotFoundError:
            if not self.ignore_missing:
                raise
            self.log.info("There is no flow %r (any more).", self.flow)
            return None
        self.log.info("Deleted the flow %r (%s).", self.flow, flow_id)
        return flow_id

    def _flow_id(self) -> str:
        try:
            return self.hook.flow(self.flow)
        except GlobusFlowNameError as error:
            # That several have the title is no reason to take that for none.
            if any(flow["title"] == self.flow for flow in self.hook.flows_titled(self.flow)):
                raise
            raise GlobusNotFoundError(error.message, advice=error.advice) from None


def _same(name: str, wanted: Any, there: Any) -> bool:
    """Whether a flow has a property already; the order of people and words does not matter."""
    if name in _PRINCIPALS or name == "keywords":
        return set(wanted) == set(there or ())
    if name == "subscription_id" and wanted == "DEFAULT":
        # A word for whichever the identity has: what the flow names is that one, once it has any.
        return bool(there)
    return bool(wanted == there)

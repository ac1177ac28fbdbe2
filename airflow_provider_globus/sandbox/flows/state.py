"""The memory of the Flows service: flows, runs and their logs, web inputs; and who waits for what."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from globus_sdk.scopes import FlowsScopes

from airflow_provider_globus.sandbox.action_providers.base import Action, ActionProvider, ActionRefused
from airflow_provider_globus.sandbox.action_providers.registry import all_providers, normal_url, provider_for
from airflow_provider_globus.sandbox.action_providers.user import CallableProvider
from airflow_provider_globus.sandbox.auth.scopes import flow_scope
from airflow_provider_globus.sandbox.auth.state import DEFAULT_CLIENT_ID
from airflow_provider_globus.sandbox.flow_language.execution import Execution
from airflow_provider_globus.sandbox.flow_language.paths import shown
from airflow_provider_globus.sandbox.flow_language.validation import check_definition, check_input_schema
from airflow_provider_globus.sandbox.flows.access import WEB_INPUT_SCOPES, is_among, is_principal, urn_of
from airflow_provider_globus.sandbox.flows.as_action import FlowProvider
from airflow_provider_globus.sandbox.flows.engine import Driver, Engine
from airflow_provider_globus.sandbox.flows.models import (
    ACTIVE,
    CLOSED,
    FAILED,
    INACTIVE,
    SUCCEEDED,
    Flow,
    LogEntry,
    RegisteredApi,
    Run,
    WebInput,
)
from airflow_provider_globus.sandbox.flows.web_inputs import parse_web_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.flow_language.effects import Ended, RunAction
    from airflow_provider_globus.sandbox.world import World

__all__ = ["Flow", "FlowsState", "Run", "WebInput"]


class FlowsState:
    """Flows and runs of one sandbox; safe to use from any thread.

    `flows`, `runs` and `web_inputs` are by id, in the order in which they were made.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.changed = threading.Condition()
        self.flows: dict[str, Flow] = {}
        self.runs: dict[str, Run] = {}
        self.web_inputs: dict[str, WebInput] = {}
        self.registered_apis: dict[str, RegisteredApi] = {}
        self.added_providers: dict[str, ActionProvider] = {}
        #: who waits for which page of an option to be opened, by the end of its address
        self.option_pages: dict[str, Action] = {}
        self._api_calls: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self._engine = Engine()
        for scope in WEB_INPUT_SCOPES.values():
            world.auth.scopes.register(scope, FlowsScopes.resource_server)
        for provider in all_providers():
            # Some providers take the scope of the service behind them.
            if world.auth.scopes.resource_server(provider.scope) is None:
                world.auth.scopes.register(provider.scope, "actions.globus.org")
        self.mark()

    # Flows

    def add_flow(
        self,
        title: str,
        definition: Mapping[str, Any],
        *,
        input_schema: Mapping[str, Any] | None = None,
        id: str | None = None,
        alias: str | None = None,
        owner: str | None = None,
        viewers: Iterable[str] = (),
        starters: Iterable[str] = (),
        administrators: Iterable[str] = (),
        run_managers: Iterable[str] = (),
        run_monitors: Iterable[str] = (),
        **more: Any,
    ) -> Flow:
        """Add a flow; see `GlobusSandbox.add_flow`. ValueError says what is wrong with it."""
        problems = [*check_definition(definition), *check_input_schema(input_schema or {})]
        if problems:
            listed = "; ".join(f"{'.'.join(map(str, problem.loc))}: {problem.msg}" for problem in problems)
            raise ValueError(f"The flow {title!r} cannot be: {listed}")
        now = self.world.clock.time()
        flow = Flow(
            id=str(uuid.UUID(id)) if id else self.world.new_id(),
            title=title,
            definition=dict(definition),
            input_schema=dict(input_schema or {}),
            owner_urn=urn_of(self._identity(owner or DEFAULT_CLIENT_ID)),
            created_at=now,
            updated_at=now,
            viewers=self._urns(viewers),
            starters=self._urns(starters),
            administrators=self._urns(administrators),
            run_managers=self._urns(run_managers),
            run_monitors=self._urns(run_monitors),
            alias=alias,
            **more,
        )
        self.keep_flow(flow)
        return flow

    def keep_flow(self, flow: Flow) -> None:
        """Remember a flow, and make its identity known."""
        with self.changed:
            if flow.id in self.flows:
                raise ValueError(f"There already is a flow {flow.id}")
            if flow.alias is not None and flow.alias in {other.alias for other in self.flows.values()}:
                raise ValueError(f"There already is a flow with the alias {flow.alias!r}")
            self.flows[flow.id] = flow
        username = f"{flow.id}@clients.auth.globus.org"
        self.world.auth.add_identity(username, id=flow.id, name=flow.title, identity_type="service")

    def remove_flow(self, flow_id: str) -> None:
        """Forget a flow; its runs go on."""
        with self.changed:
            if flow := self.flows.pop(flow_id, None):
                flow.deleted_at = self.world.clock.time()
        if not any(run.flow_id == flow_id and not run.ended for run in self.runs.values()):
            self.world.auth.forget_identity(flow_id)

    def _urns(self, principals: Iterable[str]) -> list[str]:
        words = ("public", "all_authenticated_users")
        return [p if is_principal(p, words=words) else urn_of(self._identity(p)) for p in principals]

    def _identity(self, wanted: str) -> str:
        identity = self.world.auth.identity(wanted) or self.world.auth.identity_by_username(wanted)
        if identity is None:
            raise ValueError(f"There is no identity {wanted!r}; add it first")
        return identity.id

    # Action providers

    def add_action_provider(self, url: str, provider: ActionProvider | Callable[[dict[str, Any]], Any]) -> None:
        """Answer for an action provider's URL; see `GlobusSandbox.add_action_provider`."""
        self.added_providers[normal_url(url)] = _as_provider(provider)

    def add_registered_api(
        self,
        name: str,
        call: Callable[[dict[str, Any]], Any],
        *,
        description: str = "",
        owner: str | None = None,
        viewers: Iterable[str] = (),
    ) -> str:
        """Register an API that flows may call, as a function of what they send; return its id.

        :param owner: username or id of an identity; the default client when left out.
        :param viewers: usernames, ids or URNs.
        """
        target = {
            "type": "openapi",
            "openapi_version": "3.1",
            # It is no web service that is called, and so has no address on the web.
            "destination": {"method": "post", "url": f"python:{call.__module__}.{call.__qualname__}"},
            "specification": {"summary": name, "responses": {"200": {"description": "What the function returns"}}},
            "transforms": None,
            "components": {},
        }
        api = RegisteredApi(
            self.world.new_id(),
            name,
            description,
            self.world.clock.time(),
            target,
            owners=[urn_of(self._identity(owner or DEFAULT_CLIENT_ID))],
            viewers=self._urns(viewers),
        )
        self.registered_apis[api.id] = api
        self._api_calls[api.id] = call
        return api.id

    def provider(self, effect: RunAction) -> ActionProvider:
        """Return what does an action; raises `ActionRefused` when nothing here does."""
        if effect.registered_api is not None:
            if effect.registered_api not in self._api_calls:
                why = f"The Globus sandbox has no registered API {effect.registered_api} (add_registered_api adds one)"
                raise ActionRefused(501, "NotServed", why)
            return CallableProvider(self._api_calls[effect.registered_api])
        url = normal_url(effect.url or "")
        if url in self.added_providers:
            return self.added_providers[url]
        found = FlowProvider.of(url) or provider_for(url)
        if found is None:
            why = "The Globus sandbox knows no action provider of this URL (add_action_provider adds one)"
            raise ActionRefused(501, "NotServed", why)
        return found

    def caller_for(self, run: Run, run_as: str) -> Caller:
        """Return in whose name an action of a run is done; raises `ActionRefused` for a role without a token."""
        auth = self.world.auth
        if run_as == "Flow":
            return auth.caller_through(flow_scope(run.flow_id), run.flow_id, run.flow_id, every_consent=True)
        if run_as == "User":
            return auth.caller_through(flow_scope(run.flow_id), run.owner_id, run.client_id)
        tokens = run.body.get("_tokens")
        token = auth.access_token(str(tokens.get(run_as))) if isinstance(tokens, dict) else None
        scope = flow_scope(run.flow_id, run_as)
        if token is None or not auth.caller_of(token).has_scope(scope):
            why = f"The run was given no valid token for the role {run_as}: _tokens.{run_as}, with the scope {scope}"
            raise ActionRefused(401, "UnauthorizedRequest", why)
        return auth.caller_through(scope, token.identity_id, token.client_id)

    # Runs

    def create_run(self, flow: Flow, caller: Caller, *, body: dict[str, Any], label: str, **more: Any) -> Run:
        """Make a run of a flow, which `begin` sets going; the request has been checked."""
        now = self.world.clock.time()
        run = Run(
            id=self.world.new_id(),
            flow=flow,
            flow_id=flow.id,
            flow_title=flow.title,
            flow_updated_at=flow.updated_at,
            definition=flow.definition,
            input_schema=flow.input_schema,
            body=body,
            owner_id=caller.identity_id,
            owner_urn=urn_of(caller.identity_id),
            client_id=caller.client_id,
            started_at=now,
            label=label,
            tags=list(more.get("tags") or ()),
            managers=list(more.get("managers") or ()),
            monitors=list(more.get("monitors") or ()),
        )
        run.details = {
            "code": "FlowStarting",
            "description": "The Flow is starting execution",
            "details": {"input": shown(_given(body))},
        }
        with self.changed:
            self.runs[run.id] = run
            self.changed.notify_all()
        return run

    def begin(self, run: Run) -> None:
        """Set a run going."""
        execution = Execution(
            run.definition, _given(run.body), context=lambda: self._context(run), now=self.world.clock.time
        )
        self._engine.add(Driver(self, run, execution.run()))

    def _context(self, run: Run) -> dict[str, Any]:
        identity = self.world.auth.identity(run.owner_id)
        lifetime = self.world.settings.token_lifetime_seconds
        return {
            "flow_id": run.flow_id,
            "run_id": run.id,
            # Older flows know the run by this name.
            "action_id": run.id,
            "username": identity.username if identity else "",
            "email": identity.email if identity else None,
            "user_id": run.owner_urn,
            "identities": [run.owner_urn],
            "token_info": {
                "exp": int(run.started_at + lifetime),
                "iat": int(run.started_at),
                "nbf": int(run.started_at),
            },
        }

    def write(self, run: Run, code: str, description: str, details: dict[str, Any]) -> None:
        """Add an entry to a run's log; until it ends, it is also what the run's details say."""
        with self.changed:
            if run.ended:
                return
            run.log.append(LogEntry(self.world.clock.time(), code, description, details))
            if "state_name" in details:
                run.details = {"code": code, "description": description, "state_name": details["state_name"]}
            self.changed.notify_all()

    def finish(self, run: Run, ended: Ended) -> None:
        """Note how a run ended."""
        if ended.status == SUCCEEDED:
            details: dict[str, Any] = {
                "code": "FlowSucceeded",
                "description": "The Flow run reached a successful completion state",
                "output": shown(ended.output),
            }
        else:
            error = ended.error or {}
            # Not confirmed by any recording: how the details of a failed run look.
            details = {
                "code": "FlowFailed",
                "description": f"The Flow run failed with {error.get('error')}",
                "details": {
                    "state_name": error.get("state_name"),
                    "exception": error.get("error"),
                    "cause": error.get("cause"),
                },
            }
        self._close(run, ended.status, details)

    def cancel(self, run: Run) -> None:
        """End a run because somebody wants it to."""
        self._engine.stop(run.id)
        now = self.world.clock.time()
        entry = LogEntry(now, "FlowCanceled", "The Flow Instance was canceled by the user", {})
        with self.changed:
            if not run.ended:
                run.log.append(entry)
        self._close(run, FAILED, entry.document())

    def _close(self, run: Run, status: str, details: dict[str, Any]) -> None:
        with self.changed:
            if not run.ended:
                run.status, run.details = status, details
                run.completed_at = self.world.clock.time()
                run.web_input_id = None
                for web_input in self.web_inputs.values():
                    if web_input.run is run and web_input.status != CLOSED:
                        web_input.status, web_input.closed_at = CLOSED, run.completed_at
            self.changed.notify_all()

    def suspend(self, run: Run, state_name: str, action: dict[str, Any]) -> None:
        """Suspend a run whose action needs something of a person."""
        details = action["details"] if isinstance(action["details"], dict) else {}
        with self.changed:
            if run.ended:
                return
            run.status = INACTIVE
            said = details.get("description", "The action is inactive")
            said = f"Flow run requires user intervention to proceed. For state '{state_name}': {said}"
            run.details = {
                "code": details.get("code", "Inactive"),
                "description": said,
                "state_name": state_name,
                "action_statuses": [{**action, "state_name": state_name}],
            }
            parameters = dict(details.get("authorization_parameters") or {})
            if scope := details.get("required_scope"):
                # What the action needs, the flow has to be given.
                run.details["required_scope"] = f"{flow_scope(run.flow_id)}[{scope}]"
                parameters["required_scopes"] = [run.details["required_scope"]]
            if parameters:
                run.details["authorization_parameters"] = {**parameters, "session_message": said}
            self.changed.notify_all()

    def resume(self, run: Run) -> None:
        """Let a suspended run try its action again; it is active from now on."""
        with self.changed:
            if run.status != INACTIVE:
                return
            run.status = ACTIVE
            run.details = {"code": "FlowResumed", "description": "The Flow run was resumed", **_where(run)}
            self.changed.notify_all()
        self._engine.resume(run.id)

    def release(self, run: Run) -> None:
        """Forget a run that has ended."""
        with self.changed:
            self.runs.pop(run.id, None)

    # Web inputs

    def open_web_input(self, run: Run, parameters: Mapping[str, Any]) -> WebInput:
        """Ask people something; ValueError says what is wrong with the question."""
        web_input = parse_web_input(self.world, run, parameters)
        with self.changed:
            self.web_inputs[web_input.id] = web_input
            self.changed.notify_all()
        return web_input

    def web_input(self, web_input_id: str) -> WebInput | None:
        """Return a web input as it is now: closed, when its time is over."""
        web_input = self.web_inputs.get(web_input_id)
        now = self.world.clock.time()
        if web_input is not None and web_input.status != CLOSED and now >= web_input.expires_at:
            with self.changed:
                web_input.status, web_input.expired, web_input.closed_at = CLOSED, True, web_input.expires_at
                self.changed.notify_all()
        return web_input

    def respond(self, web_input: WebInput, option_id: str) -> None:
        """Take an answer; ValueError when there is no such option."""
        chosen = next((option for option in web_input.options if option.id == option_id), None)
        if chosen is None:
            raise ValueError(f"'{option_id}' is not a registered option id for this input.")
        with self.changed:
            web_input.chosen = chosen
            web_input.status, web_input.closed_at = CLOSED, self.world.clock.time()
            self.changed.notify_all()
        self._engine.wake()

    def answer(self, web_input_id: str, wanted: str, *, username: str | None = None) -> WebInput:
        """Take an option's id, label or value from a person who need not log in; ValueError for what is none.

        :param username: who answers, and so has to be a respondent; anybody may when left out.
        """
        web_input = self.web_input(web_input_id)
        if web_input is None or web_input.status == CLOSED:
            raise ValueError(f"There is no open web input {web_input_id!r}")
        if username is not None and not is_among(self, self._identity(username), web_input.respondents):
            raise ValueError(f"{username!r} is not asked by {web_input.title!r}")
        named = [o for o in web_input.options if wanted in (o.id, o.label, o.value)]
        if not named:
            labels = ", ".join(repr(option.label) for option in web_input.options)
            raise ValueError(f"{wanted!r} is no option of {web_input.title!r}; there are {labels}")
        self.respond(web_input, named[0].id)
        return web_input

    # For who sets up a sandbox, and waits

    def wait(self, run_id: str, *statuses: str, seconds: float = 10.0) -> Run:
        """Wait, in real seconds, until a run has one of these statuses (any end, when none is named)."""
        with self.changed:
            run = self.runs[run_id]
            reached = self.changed.wait_for(lambda: run.status in statuses if statuses else run.ended, seconds)
        if not reached:
            raise TimeoutError(f"Run {run_id} is still {run.status}: {run.details}")
        return run

    def wait_for_question(self, run_id: str, seconds: float = 10.0) -> WebInput:
        """Wait, in real seconds, until a run asks people something."""
        run = self.runs[run_id]

        def asked() -> WebInput | None:
            return next((w for w in self.web_inputs.values() if w.run is run and w.status != CLOSED), None)

        with self.changed:
            if not self.changed.wait_for(asked, seconds):
                raise TimeoutError(f"Run {run_id} asks nothing; it is {run.status}: {run.details}")
            found = asked()
        assert found is not None
        return found

    # As every state of the world

    def mark(self) -> None:
        """Remember flows, registered APIs and added providers as what `reset` goes back to."""
        with self.changed:
            self._base = (
                {flow.id: replace(flow) for flow in self.flows.values()},
                dict(self.registered_apis),
                dict(self.added_providers),
                dict(self._api_calls),
            )

    def reset(self) -> None:
        """Go back to what was marked; runs end and are forgotten."""
        self._engine.clear()
        flows, apis, providers, calls = self._base
        with self.changed:
            self.flows = {flow.id: replace(flow) for flow in flows.values()}
            self.registered_apis, self.added_providers, self._api_calls = dict(apis), dict(providers), dict(calls)
            self.runs, self.web_inputs, self.option_pages = {}, {}, {}
            self.changed.notify_all()

    def snapshot(self) -> dict[str, Any]:
        """Return flows, runs and open questions in a few words; nothing of what runs are given or return."""
        with self.changed:
            return {
                "flows": [
                    {"id": f.id, "title": f.title, "alias": f.alias, "owner": f.owner_urn} for f in self.flows.values()
                ],
                "runs": [
                    {"id": run.id, "flow_id": run.flow_id, "label": run.label, "status": run.status}
                    for run in self.runs.values()
                ],
                "web_inputs": [
                    {"id": w.id, "run_id": w.run.id, "title": w.title, "status": w.status}
                    for w in self.web_inputs.values()
                ],
            }

    def close(self) -> None:
        """End all runs, for good."""
        self._engine.close()


def _given(body: dict[str, Any]) -> dict[str, Any]:
    """Return a run's input as its flow sees it."""
    return {key: value for key, value in body.items() if key != "_tokens"}


def _where(run: Run) -> dict[str, Any]:
    name = run.details.get("state_name")
    return {"state_name": name} if name else {}


def _as_provider(given: ActionProvider | Callable[[dict[str, Any]], Any]) -> ActionProvider:
    # A protocol cannot be told from a function by type.
    return cast("ActionProvider", given) if hasattr(given, "start") else CallableProvider(given)

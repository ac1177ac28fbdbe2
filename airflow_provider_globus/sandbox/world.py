"""All state of one sandbox: `World` holds the clock, the services and the settings; nothing is global."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol

from airflow_provider_globus.sandbox.action_providers.outbox import Outbox
from airflow_provider_globus.sandbox.auth.state import AuthState
from airflow_provider_globus.sandbox.clock import SandboxClock
from airflow_provider_globus.sandbox.compute.state import ComputeState
from airflow_provider_globus.sandbox.connect_server.state import ConnectServerState
from airflow_provider_globus.sandbox.faults import Faults
from airflow_provider_globus.sandbox.flows.state import FlowsState
from airflow_provider_globus.sandbox.groups.state import GroupsState
from airflow_provider_globus.sandbox.journal import Journal
from airflow_provider_globus.sandbox.ratelimit import RateMeter
from airflow_provider_globus.sandbox.search.state import SearchState
from airflow_provider_globus.sandbox.transfer.state import TransferState

_REQUEST_ID_LETTERS = string.ascii_letters + string.digits


class ServiceState(Protocol):
    """What `World` asks of the state of a service."""

    def mark(self) -> None:
        """Remember the present state as the one `reset` goes back to."""

    def reset(self) -> None:
        """Go back to the marked state (or to an empty one), ending whatever is running."""

    def snapshot(self) -> Any:
        """Return the state as a JSON document without secrets, for people and tests to look at."""

    def close(self) -> None:
        """End whatever is running, for good."""


@dataclass(slots=True)
class Settings:
    """How strict and how fast the sandbox is; may be changed while it runs.

    :param require_issued_tokens: refuse bearer tokens this sandbox did not issue. When off, any bearer is taken
        for the default client with every consent.
    :param enforce_consents: refuse access to mapped collections without a ``data_access`` consent.
    :param active_tasks_per_identity: transfer (and, apart, delete) tasks that run at once; others queue.
    :param pending_tasks_per_identity: unfinished tasks an identity may have.
    :param rate_limit_per_second: requests a second each identity may make to Transfer, metered over ten seconds;
        20 is the real service's limit and the default, None is none.
    :param token_lifetime_seconds: sandbox seconds an access token lives.
    :param default_deadline_seconds: a task's deadline when the submission names none.
    :param task_seconds: sandbox seconds a task stays ACTIVE at least, once it starts.
    :param bytes_per_second: slow data down to this many bytes per sandbox second.
    :param fault_retry_seconds: sandbox seconds between two attempts at a file that fails.
    :param compute_requests_per_10_seconds: requests each identity may make to Compute in ten seconds; 20 is the real
        service's limit and the default, None is none.
    :param compute_submission_bytes: how big the body of a submission to Compute may be.
    :param compute_result_bytes: how big the serialised result of a Compute task may be.
    :param compute_result_seconds: sandbox seconds after its end that the outcome of a Compute task is kept when nobody
        fetches it.
    :param flows_without_subscription: flows that an identity may have without a subscription; the real service allows
        one, None allows any number.
    :param web_input_seconds: sandbox seconds for which people may answer what a flow asks.
    :param search_task_seconds: sandbox seconds that a Search task takes.
    :param search_trial_indices: Search indices that an identity may own when it creates one more; all of the sandbox
        are on trial. The real service allows 3, None allows any number.
    """

    require_issued_tokens: bool = True
    enforce_consents: bool = True
    active_tasks_per_identity: int = 3
    pending_tasks_per_identity: int = 100
    rate_limit_per_second: float | None = 20.0
    token_lifetime_seconds: int = 172800
    default_deadline_seconds: int = 86400
    task_seconds: float = 0.0
    bytes_per_second: float | None = None
    fault_retry_seconds: float = 30.0
    compute_requests_per_10_seconds: float | None = 20.0
    compute_submission_bytes: int = 10 * 1024 * 1024
    compute_result_bytes: int = 10 * 1024 * 1024
    compute_result_seconds: float = 1800.0
    flows_without_subscription: int | None = None
    web_input_seconds: float = 30 * 86400.0
    search_task_seconds: float = 0.0
    search_trial_indices: int | None = None

    def update(self, changes: Mapping[str, Any]) -> None:
        """Change some settings; an unknown name or a wrong type changes none and raises ValueError."""
        known = {item.name: item for item in fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"There is no setting {name!r}; there are {', '.join(sorted(known))}")
            checked[name] = _checked(name, value, str(known[name].type))
        for name, value in checked.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a JSON document."""
        return asdict(self)


# Three centuries, as seconds: a moment so much later is a date that can be shown.
_MOST = 1e10


def _checked(name: str, value: Any, wanted: str) -> Any:
    """Return a setting's value in its own type."""
    if value is None and "None" in wanted:
        return None
    if wanted == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"Setting {name} must be true or false, got {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise ValueError(f"Setting {name} must be a number from 0 to {_MOST:g}, got {value!r}")
    if wanted == "int":
        if value != int(value):
            raise ValueError(f"Setting {name} must be a whole number, got {value!r}")
        return int(value)
    return float(value)


class World:
    """One sandbox: everything its services know.

    :param clock_scale: sandbox seconds in a real second.
    :param random_seed: makes ids and tokens the same in every run.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock_scale: float = 1.0,
        random_seed: int | str | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = SandboxClock(clock_scale)
        # Ids and tokens of a sandbox guard nothing, and have to be repeatable when asked for.
        self.rng = random.Random(random_seed)  # noqa: S311
        self.journal = Journal()
        self.faults = Faults(self.clock, self.rng)
        self.meter = RateMeter(self.clock)
        self.url = ""
        self.tls_url = ""
        self.auth = AuthState(self)
        self.groups = GroupsState(self)
        self.connect_server = ConnectServerState(self)
        self.transfer: TransferState = TransferState(self)
        self.compute = ComputeState(self)
        self.search = SearchState(self)
        self.outbox = Outbox(self)
        self.flows = FlowsState(self)
        # Only a seeded sandbox repeats its ids after a reset; else an id of before would come back to life.
        self._repeatable = random_seed is not None
        self._base = (replace(self.settings), self.rng.getstate())

    @property
    def states(self) -> tuple[ServiceState, ...]:
        """The state of every service."""
        return (
            self.flows,
            self.auth,
            self.groups,
            self.connect_server,
            self.transfer,
            self.compute,
            self.search,
            self.outbox,
        )

    def new_id(self) -> str:
        """Return a fresh UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def new_request_id(self) -> str:
        """Return a fresh request id, nine letters and digits."""
        return "".join(self.rng.choices(_REQUEST_ID_LETTERS, k=9))

    def collection_scope_exists(self, collection_id: str, name: str) -> bool:
        """Tell whether a collection has this scope: Auth asks before it grants ``data_access`` or ``https``.

        ``data_access`` exists on mapped collections of Connect Server that are not high assurance, and nowhere else.
        """
        collection = self.transfer.collections.get(collection_id)
        if collection is None:
            return False
        return collection.needs_data_access if name == "data_access" else collection.kind != "endpoint"

    def flow_exists(self, flow_id: str) -> bool:
        """Tell whether there is a flow of this id: Auth asks before it grants the flow's scope."""
        return flow_id in self.flows.flows

    def mark(self) -> None:
        """Remember the present state as the one `reset` goes back to."""
        self._base = (replace(self.settings), self.rng.getstate())
        for state in self.states:
            state.mark()

    def reset(self) -> None:
        """Go back to the marked state: running tasks end, tokens, journal, faults and clock are as new."""
        settings, rng_state = self._base
        self.settings.update(settings.as_dict())
        for state in self.states:
            state.reset()
        self.faults.clear()  # after the tasks they hold are gone
        self.clock.reset()
        self.meter.clear()
        if self._repeatable:
            self.rng.setstate(rng_state)
        self.journal.clear()

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as a JSON document without secrets."""
        return {
            "time": self.clock.now().isoformat(),
            "settings": self.settings.as_dict(),
            "faults": self.faults.as_list(),
            "auth": self.auth.snapshot(),
            "groups": self.groups.snapshot(),
            "transfer": self.transfer.snapshot(),
            "connect_server": self.connect_server.snapshot(),
            "compute": self.compute.snapshot(),
            "flows": self.flows.snapshot(),
            "search": self.search.snapshot(),
            "outbox": self.outbox.snapshot(),
        }

    def close(self) -> None:
        """End whatever is running."""
        for state in self.states:
            state.close()

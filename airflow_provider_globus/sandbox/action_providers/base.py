"""What an action provider is: it is told what to do for whom, and says how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.world import World

_MOST_FINDINGS = 5

ACTIVE, INACTIVE, SUCCEEDED, FAILED = "ACTIVE", "INACTIVE", "SUCCEEDED", "FAILED"


@dataclass
class Action:
    """One action of a run, as its provider sees it.

    :param id: its ``action_id``; a provider may set another at the start (Compute's is ``tg_<task group>``).
    :param caller: in whose name it acts, with the consents given to the flow.
    :param body: what the flow's state sends.
    :param memory: the provider's own, from `start` to the end.
    """

    id: str
    world: World
    caller: Caller
    body: dict[str, Any]
    run_id: str
    flow_id: str
    run_label: str = ""
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How far an action is.

    :param status: ``ACTIVE``, ``INACTIVE`` (``details`` say what is missing), ``SUCCEEDED`` or ``FAILED``.
    :param details: the ``details`` of its status document.
    :param display_status: shown to people; `status` when left out.
    """

    status: str
    details: Any
    display_status: str | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.status in (SUCCEEDED, FAILED)


class ActionRefused(Exception):
    """The provider does not take the action: the state fails with ``ActionUnableToRun``.

    :param status: HTTP status the provider answers with.
    :param code: such as ``RequestValidationError``.
    """

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(f"{status} {code}: {description}")
        self.status = status
        self.code = code
        self.description = description

    def document(self) -> dict[str, Any]:
        """Return the provider's error document."""
        return {"code": self.code, "description": self.description}


class ActionProvider(Protocol):
    """One action provider. Holds no state: that is in `Action.memory` and in the services it calls.

    `start` and `progress` are called from threads of the Flows service, never both at once for one action. Neither
    waits: what takes time stays ``ACTIVE`` and is asked again (about twenty times a second while a run waits).
    """

    title: ClassVar[str]
    #: its URLs, old and new, without a trailing slash
    urls: ClassVar[tuple[str, ...]]
    scope: ClassVar[str]
    #: JSON schema of `Action.body`, checked before `start`
    input_schema: ClassVar[dict[str, Any]]

    def start(self, action: Action) -> Progress:
        """Begin; raises `ActionRefused`. Called again after an ``INACTIVE`` action was resumed."""

    def progress(self, action: Action) -> Progress:
        """Tell how far it is; only called while the last answer was ``ACTIVE``."""

    def cancel(self, action: Action) -> None:
        """Stop it, as far as that is possible."""


class EndsAtOnce:
    """Base of the providers whose actions have ended when they have started."""

    def progress(self, action: Action) -> Progress:
        """Tell that it has ended; never asked."""
        return Progress(SUCCEEDED, {})

    def cancel(self, action: Action) -> None:
        """There is nothing to stop."""


def check_body(provider: ActionProvider, body: Mapping[str, Any]) -> None:
    """Refuse an input that a provider's schema does not allow."""
    # Imported here: it takes longer to import than a sandbox to start.
    import jsonschema

    errors = list(jsonschema.Draft7Validator(provider.input_schema).iter_errors(dict(body)))
    if errors:
        listed = "; ".join(f"{error.json_path}: {error.message}" for error in errors[:_MOST_FINDINGS])
        raise ActionRefused(400, "RequestValidationError", f"Input failed schema validation: {listed}")

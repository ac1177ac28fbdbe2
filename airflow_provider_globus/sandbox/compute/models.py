"""What the Compute service remembers: functions, tasks and task groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# The endpoint is offline: the task waits at the service.
WAITING_FOR_ENDPOINT: Final = "waiting-for-ep"
# The endpoint has the task, all its workers are busy.
WAITING_FOR_NODES: Final = "waiting-for-nodes"
RUNNING: Final = "running"
SUCCESS: Final = "success"
FAILED: Final = "failed"


@dataclass(frozen=True)
class ComputeFunction:
    """A registered function.

    :param code: what was registered: a serialised function, or plain source when not `serialized`.
    :param owner: id of the identity that registered it.
    :param group: members of this Globus group may use it too.
    """

    id: str
    name: str
    code: str = field(repr=False)
    owner: str
    serialized: bool = True
    description: str | None = None
    public: bool = False
    group: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def packed(self) -> str:
        """The function as an endpoint takes it."""
        if self.serialized:
            return self.code
        # As the SDK's PureSourceTextInspect writes it, in a buffer with its length before it.
        text = f"st\n{self.name}:{self.code}"
        return f"{len(text)}\n{text}"


@dataclass
class ComputeTask:
    """One call of a function.

    :param owner: id of the identity that submitted it.
    :param payload: its serialised arguments; forgotten once it has ended.
    :param status: what the status routes say.
    :param submitted_at: sandbox seconds since 1970, as all times here.
    :param executions: how often it was really started.
    :param result: serialised, once it has ended well.
    :param exception: the text of what it raised at the endpoint, once it has ended badly.
    :param reason: why there is neither.
    :param fetched: whether someone has read the outcome.
    :param provisional: whether the outcome's wording is the sandbox's own.
    """

    id: str
    function: ComputeFunction
    endpoint_id: str
    group_id: str
    owner: str
    submitted_at: float
    payload: str | None = field(repr=False)
    resource_specification: dict[str, Any] = field(default_factory=dict)
    user_endpoint_config: dict[str, Any] = field(default_factory=dict)
    user_runtime: dict[str, Any] = field(default_factory=dict, repr=False)
    result_serializers: Sequence[str] = ()
    status: str = WAITING_FOR_ENDPOINT
    started_at: float | None = None
    completed_at: float | None = None
    executions: int = 0
    result: str | None = field(default=None, repr=False)
    exception: str | None = None
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    fetched: bool = False
    provisional: bool = False

    @property
    def function_id(self) -> str:
        """The id of the function."""
        return self.function.id

    @property
    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.completed_at is not None

    @property
    def buffer(self) -> str:
        """Function and arguments, as an endpoint takes them."""
        return self.function.packed + (self.payload or "")


@dataclass
class TaskGroup:
    """Tasks that were submitted to belong together, by id, in order."""

    id: str
    owner: str
    task_ids: list[str] = field(default_factory=list)
    has_queue: bool = False

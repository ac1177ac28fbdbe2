"""What waiting costs: the estimate against what the code that waits asks of the sandbox."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus import costs
from airflow_provider_globus.costs import LIMITS, Load, Waiting, calls_a_round, loads_of, looks_in_worker, polls_of
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.jobs import _ARRIVALS, _SERVICES
from airflow_provider_globus.jobs.activity import ActivityCondition
from airflow_provider_globus.jobs.arrivals import Listings
from airflow_provider_globus.jobs.base import look_id
from airflow_provider_globus.jobs.paths import PathCondition
from airflow_provider_globus.triggers import poller
from airflow_provider_globus.triggers.poller import Poller
from tests.unit.flows import APPROVAL

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from airflow_provider_globus.jobs.base import Document
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory

WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}


class World:
    """Things that are waited for, at the sandbox; each method makes so many and returns what the poller is given."""

    def __init__(self, globus: GlobusSandbox, collection: CollectionFactory, endpoint: ComputeEndpointFactory) -> None:
        self.globus, self.collection, self.endpoint, self.hook = globus, collection, endpoint, GlobusHook()

    def transfer(self, count: int) -> list[str]:
        self.globus.world.transfer.hold()
        ends = [self.collection(name, files={f"{n}": "" for n in range(count)}) for name in ("source", "target")]
        client = self.hook.transfer_client()
        source, target = (self.hook.use_collection(end.id) for end in ends)
        return [
            str(
                self.hook.call(
                    "submitting",
                    client.submit_transfer,
                    {
                        "DATA_TYPE": "transfer",
                        "source_endpoint": source,
                        "destination_endpoint": target,
                        "DATA": [{"DATA_TYPE": "transfer_item", "source_path": f"/{n}", "destination_path": f"/to{n}"}],
                    },
                )["task_id"]
            )
            for n in range(count)
        ]

    def transfer_room(self, count: int) -> list[str]:
        return ["any"] * count

    def paths(self, count: int) -> list[str]:
        collection = self.collection("instrument", files={"a": ""})
        self.hook.use_collection(collection.id)
        return [PathCondition(collection.id, f"/{n}").job_id for n in range(count)]

    def activity(self, count: int) -> list[str]:
        collection = self.collection("instrument")
        return [ActivityCondition(collection.id, "c", "arrived", float(n)).job_id for n in range(count)]

    def compute(self, count: int) -> list[str]:
        endpoint = self.endpoint("hpc", online=False)
        client = self.hook.compute_client_v3()
        function = client.register_function({"function_name": "f", "function_code": "x", "serialized": True})
        function_id = function["function_uuid"]
        body = {"tasks": {function_id: ["x"] * count}, "create_queue": False}
        return [str(task) for task in client.submit(endpoint.id, body)["tasks"][function_id]]

    def compute_endpoint(self, count: int) -> list[str]:
        return [self.endpoint(f"hpc{n}", online=False).id for n in range(count)]

    def flows(self, count: int, definition: Any = WAITS, body: Any = None) -> list[str]:
        flow = self.globus.add_flow("flow", definition)
        client = self.hook.specific_flow_client(flow.id)
        return [str(client.run_flow(body or {})["run_id"]) for _ in range(count)]

    def web_inputs(self, count: int) -> list[str]:
        return [f"open:{run_id}" for run_id in self.flows(count)]

    def web_inputs_answers(self, count: int) -> list[str]:
        runs = self.flows(count, APPROVAL, {"respondents": [f"urn:globus:auth:identity:{self.globus.client_id}"]})
        return [f"closed:{self.globus.world.flows.wait_for_question(run_id).id}" for run_id in runs]

    def search(self, count: int) -> list[str]:
        index, client = self.globus.add_search_index("catalogue"), self.hook.search_client()
        entry = {"subject": "s", "visible_to": ["public"], "content": {"a": 1}}
        document = {"ingest_type": "GMetaEntry", "ingest_data": entry}
        return [str(client.ingest(index.id, document)["task_id"]) for _ in range(count)]

    def listings(self, count: int) -> list[str]:
        collection = self.collection("instrument")
        self.hook.use_collection(collection.id)
        return [Listings.of(collection.id, f"/{n}", recursive=False) for n in range(count)]

    def ended_tasks(self, count: int) -> list[str]:
        collection = self.collection("instrument")
        about = {"collection_id": collection.id, "shown": "c", "use": None}
        return [look_id({**about, "lately": 60.0 + n}) for n in range(count)]

    def ended_runs(self, count: int) -> list[str]:
        flow = self.globus.add_flow("flow", WAITS)
        return [look_id({"flow_id": flow.id, "lately": 60.0 + n}) for n in range(count)]


@pytest.fixture
def world(
    globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory, globus_compute_endpoint: ComputeEndpointFactory
) -> World:
    globus_sandbox.settings.rate_limit_per_second = None
    globus_sandbox.settings.compute_requests_per_10_seconds = None
    return World(globus_sandbox, globus_collection, globus_compute_endpoint)


def test_all_that_can_be_polled_has_a_cost() -> None:
    known = {look.service or name for name, look in costs._LOOKS.items()}
    assert known == {*_SERVICES, *_ARRIVALS}


@pytest.mark.parametrize(
    ("look", "jobs", "calls"),
    [
        ("transfer", 1, 1),
        ("transfer", 51, 2),
        ("transfer-room", 1, 1),
        ("paths", 3, 3),
        ("activity", 2, 2),
        ("compute", 30, 1),
        ("compute-endpoint", 2, 2),
        ("flows", 1, 2),
        ("flows", 3, 4),
        ("flows", 7, 6),
        ("web-inputs", 1, 2),
        ("web-inputs", 3, 2),
        ("web-inputs", 11, 4),
        ("web-inputs (answers)", 3, 3),
        ("search", 3, 3),
        ("listings", 2, 2),
        ("ended-tasks", 2, 2),
        ("ended-runs", 2, 2),
    ],
)
def test_a_round_asks_as_often_as_is_said(look: str, jobs: int, calls: int, world: World) -> None:
    prepare: Callable[[int], list[str]] = getattr(
        world, look.translate({ord("-"): "_", ord(" "): "_", 40: None, 41: None})
    )
    ids = prepare(jobs)
    service, journal = costs.service_of(look), world.globus.journal
    journal.clear()
    for start in range(0, jobs, service.batch_size):
        service.fetch(GlobusHook(), ids[start : start + service.batch_size])
    asked = {entry.service for entry in journal.entries} - {"auth"}
    assert asked == {costs.api_of(look).lower()}
    assert journal.count(asked.pop()) == calls == calls_a_round(look, jobs)


def test_the_limits_are_those_of_the_sandbox(globus_sandbox: GlobusSandbox) -> None:
    limits, settings = LIMITS, globus_sandbox.settings
    assert limits["Transfer"].calls / limits["Transfer"].seconds == settings.rate_limit_per_second
    assert limits["Compute"] == (settings.compute_requests_per_10_seconds, 10)


@pytest.mark.parametrize(
    ("interval", "seconds", "looks"),
    # After 1, 4, 13, 40 and 70 s, and then each half minute.
    [
        *((30, 5, 3), (30, 0, 0), (30, 1, 1), (30, 40, 4), (30, 41, 5), (0.5, 5, 10), (5, 60, 14), (0.2, 1, 5)),
        *((30, 40 + 30 * 5000, 5004), (30, 41 + 30 * 5000, 5005)),
    ],
)
def test_a_worker_looks_often_at_first(interval: float, seconds: float, looks: int) -> None:
    assert looks_in_worker(interval, seconds) == looks


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time: its clock goes to the next thing that is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class Rounds:
    """Polls on a virtual clock, of jobs that never end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = VirtualLoop()
        self.asked: list[tuple[float, int]] = []

        async def at_once(function: Callable[..., Any], *args: Any) -> Any:
            return function(*args)

        # When each first looks is left to chance; in a test it is not.
        monkeypatch.setattr(poller, "random", random.Random(7))
        # In the poller only: the sandbox goes on in real time.
        monkeypatch.setattr(poller, "time", SimpleNamespace(monotonic=self.loop.time))
        monkeypatch.setattr(poller, "asyncio", SimpleNamespace(**{**vars(asyncio), "to_thread": at_once}))
        monkeypatch.setattr(Poller, "_fetch", self._fetch)

    def _fetch(self, batch: Sequence[str]) -> dict[str, Document]:
        self.asked.append((self.loop.now, len(batch)))
        return {job: {} for job in batch}

    def run(self, members: Sequence[Waiting], seconds: float) -> None:
        async def wait() -> None:
            one = Poller("globus_default", members[0].look)
            tasks = [
                asyncio.ensure_future(self._wait(one, f"{member.name}{n}", member.interval))
                for member in members
                for n in range(member.tasks)
            ]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert one._task
            await one._task

        self._to_end(wait())

    async def _wait(self, one: Poller, job: str, interval: float) -> None:
        with one.subscribe([job], interval) as looks:
            while True:
                await looks.get()

    def _to_end(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(coroutine)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rounds]:
    found = Rounds(monkeypatch)
    yield found
    found.loop.close()


def deferred(name: str, interval: float, tasks: int, **more: Any) -> Waiting:
    fields: dict[str, Any] = {"kind": "Operator", "look": "transfer", "conn_id": "globus_default", "deferred": True}
    return Waiting(name=name, interval=interval, tasks=tasks, **fields | more)


@pytest.mark.parametrize(
    "members",
    [
        [deferred("a", 30, 1)],
        [deferred("a", 30, 120)],
        [deferred("a", 10, 20), deferred("b", 30, 40)],
        [deferred("a", 10, 20), deferred("b", 20, 40)],
        [deferred("a", 10, 60), deferred("b", 25, 2), deferred("c", 90, 90)],
        [deferred("a", 45, 60), deferred("b", 60, 60)],
        [deferred("a", 10, 3, look="paths"), deferred("b", 30, 2, look="paths")],
        # Calls that ask after one thing each gain nothing from falling into step.
        [deferred("a", 10, 3, look="paths"), deferred("b", 20, 2, look="paths")],
    ],
    ids=lambda members: "+".join(f"{member.tasks}x{member.interval:g}s" for member in members),
)
def test_a_shared_poll_asks_as_often_as_the_real_one(members: list[Waiting], rounds: Rounds) -> None:
    (poll,) = polls_of(members)
    rounds.run(members, 4 * 3600)
    # The first hour is left out, in which those that began apart fall into step.
    asked = [when for when, _ in rounds.asked if when > 3600]
    assert len(asked) / 3 == pytest.approx(poll.calls_an_hour, rel=0.01)
    assert poll.calls_an_hour_apart == sum(member.tasks * 3600 / member.interval for member in members)


def test_what_is_shared_is_one_connection_and_service() -> None:
    waits = [
        deferred("a", 30, 2),
        deferred("b", 30, 1, conn_id="other"),
        deferred("c", 30, 1, look="compute"),
        deferred("d", 30, 1, deferred=False),
        deferred("e", 60, 1),
    ]
    names = [[member.name for member in poll.members] for poll in polls_of(waits)]
    assert names == [["c"], ["a", "e"], ["b"]]
    assert loads_of(waits) == [
        Load("globus_default", "Compute", 120.0),
        # The poll of a and e, and the worker of d.
        Load("globus_default", "Transfer", 240.0),
        Load("other", "Transfer", 120.0),
    ]
    assert [load.share for load in loads_of(waits)] == [120 / 7200, 240 / 72000, 120 / 72000]


def test_flows_and_search_have_no_published_limit() -> None:
    assert [load.share for load in loads_of([deferred("a", 30, 1, look="flows")])] == [None]


def test_a_round_takes_the_pauses_between_its_calls() -> None:
    (poll,) = polls_of([deferred("a", 5, 101, look="paths")])
    assert poll.seconds_a_round == pytest.approx(10.0)
    (poll,) = polls_of([deferred("a", 5, 50)])
    assert poll.seconds_a_round == 0


@pytest.mark.parametrize(
    ("waiting", "calls"),
    [
        # Three looks in the worker within 5 s, then each half minute.
        (deferred("a", 30, 1, worker_wait=5.0, beside=4), 4 + 3 + 120),
        (deferred("a", 30, 60, worker_wait=5.0, beside=4), 60 * (4 + 3) + 120 * 2),
        (deferred("a", 30, 1, beside=4), 4 + 120),
        # Without deferral: after 1, 4, 13, 40, 70 … 3580 and 3610 s.
        (deferred("a", 30, 2, deferred=False, beside=4), 2 * (4 + 123)),
        (deferred("a", 30, 2, role="sensor", beside=1), 2 * (1 + 1) + 120),
        (deferred("a", 30, 2, role="sensor", beside=1, deferred=False), 2 * (1 + 121)),
        (deferred("a", 60, 1, role="watcher", beside=1, look="listings"), 1 + 60),
    ],
)
def test_a_whole_wait(waiting: Waiting, calls: int) -> None:
    assert waiting.calls(1.0) == calls

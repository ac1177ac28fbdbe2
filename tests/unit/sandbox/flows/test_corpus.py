"""Flows as labs write them, from one state to twenty, each run to its expected end on the sandbox's real services."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import jsonpath
import pytest
import yaml
from globus_compute_sdk.serialize import ComputeSerializer

from airflow_provider_globus.sandbox.compute.models import ComputeFunction

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.pytest_plugin import (
        CollectionFactory,
        CollectionFolder,
        ComputeEndpointFactory,
    )
    from tests.unit.sandbox.flows.conftest import Lab


def _cases() -> list[dict[str, Any]]:
    cases = list(yaml.safe_load_all(Path(__file__).with_name("corpus.yaml").read_text()))
    flows = {case["name"]: case["flow"] for case in cases if "flow" in case}
    return [case if "flow" in case else {**case, "flow": flows[case["flow_of"]]} for case in cases]


CASES = _cases()


def add(a: int, b: int = 0) -> int:
    return a + b


@pytest.fixture
def places(globus_collection: CollectionFactory) -> dict[str, CollectionFolder]:
    host = globus_collection("host", files={"shared/note": ""})
    return {
        "source": globus_collection("source", files={"run/a.dat": "aaaa", "run/sub/b.dat": "bb"}, kind="personal"),
        "target": globus_collection("target", kind="personal"),
        "shared": globus_collection("shared", host=host, base_path="/shared"),
    }


@pytest.fixture
def names(
    lab: Lab, places: dict[str, CollectionFolder], globus_compute_endpoint: ComputeEndpointFactory
) -> dict[str, str]:
    """What the placeholders of the corpus stand for."""
    world, serializer = lab.world, ComputeSerializer()
    code = serializer.pack_buffers([serializer.serialize(add)])
    function = ComputeFunction(world.new_id(), "add", code, lab.sandbox.client_id)
    world.compute.add_function(function)
    return {
        **{name: folder.id for name, folder in places.items()},
        "index": lab.sandbox.add_search_index("catalogue").id,
        "endpoint": globus_compute_endpoint("hpc").id,
        "add": function.id,
        "person": lab.person.id,
    }


def test_the_corpus_is_large_and_has_every_kind_of_state() -> None:
    assert len(CASES) >= 25
    assert len({case["name"] for case in CASES}) == len(CASES)
    kinds = {state["Type"] for case in CASES for state in case["flow"]["States"].values()}
    assert kinds == {
        "Action",
        "Pass",
        "Choice",
        "Wait",
        "ExpressionEval",
        "Fail",
        "CreateWebInput",
        "AwaitWebInput",
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_runs_to_its_end(
    case: dict[str, Any], lab: Lab, places: dict[str, CollectionFolder], names: dict[str, str]
) -> None:
    filled = yaml.safe_load(Template(yaml.safe_dump(case)).safe_substitute(names))
    for fault in filled.get("faults", ()):
        lab.sandbox.faults.add(fault)
    flow = lab.sandbox.add_flow(filled["name"], filled["flow"])
    run = lab.world.flows.runs[lab.flow_client(flow).run_flow(filled.get("input", {}))["run_id"]]
    _happens_meanwhile(filled, lab, run)
    lab.world.flows.wait(run.id, seconds=30)
    if "exception" in filled:
        assert run.details["details"]["exception"] == filled["exception"], run.details
    else:
        assert run.status == "SUCCEEDED", run.details
    found = {path: jsonpath.findall(path, run.details.get("output")) for path in filled.get("output", {})}
    assert found == {path: [value] for path, value in filled.get("output", {}).items()}
    for name, content in filled.get("files", {}).items():
        assert (places["target"].folder / name).read_text() == content
    if "hidden" in filled:
        document = lab.client().get_run(run.id).text + lab.client().get_run_logs(run.id).text
        assert filled["hidden"] not in document


def _happens_meanwhile(case: dict[str, Any], lab: Lab, run: Any) -> None:
    """What the world does while a flow waits."""
    if "advance" in case:
        lab.reaches(run, next(f"{s['Type']}Started" for s in case["flow"]["States"].values()))
        _soon(lambda: lab.sandbox.clock.advance(case["advance"]), lambda: run.ended)
    if "answer" in case:
        lab.world.flows.answer(lab.world.flows.wait_for_question(run.id).id, case["answer"])
    if "expire" in case:
        lab.world.flows.wait_for_question(run.id)
        lab.sandbox.clock.advance(lab.sandbox.settings.web_input_seconds + 1)
    if "option" in case:
        pages = lab.world.flows.option_pages
        _soon(lambda: None, lambda: case["option"] in pages)
        urllib.request.urlopen(f"{lab.sandbox.url}/weboption/option/{case['option']}").close()


def _soon(do: Any, check: Any) -> None:
    """Do something again and again until it has had its effect: the flow may not have come to its wait yet."""
    pause = threading.Event()
    for _ in range(100):
        do()
        if check():
            return
        pause.wait(0.1)
    raise AssertionError("it had no effect")


def test_nineteen_states_in_a_row_and_one_more(lab: Lab) -> None:
    states: dict[str, Any] = {}
    for number in range(19):
        states[f"S{number}"] = {
            "Type": "ExpressionEval",
            "Parameters": {"value.=": f"`$.n.value` * 2 + {number % 2}"},
            "ResultPath": "$.n",
            "Next": f"S{number + 1}",
        }
    states["S19"] = {"Type": "Pass", "Parameters": {"n.$": "$.n.value"}, "End": True}
    expected = 1
    for number in range(19):
        expected = expected * 2 + number % 2
    assert lab.output({"StartAt": "S0", "States": states}, {"n": {"value": 1}}) == {"n": expected}

"""``@task.globus_compute`` and the map operator in whole DAGs: XComs in and out, mapping, assets, deferral."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, ComputeEndpointFactory

DAGS = '''
from airflow.sdk import DAG, Asset, task

from airflow_provider_globus.operators.compute import GlobusComputeMapOperator, GlobusComputeShellOperator

ARGUMENTS = {{"endpoint": "hpc", "deferrable": {deferrable}, "poll_interval": 0.5, "worker_wait": 0}}

with DAG("computing_{deferrable}", render_template_as_native_obj=True) as dag:

    @task
    def scan(params):
        return {{"angles": 5, "day": "{{{{ ds }}}}"}}

    @task.globus_compute(**ARGUMENTS, multiple_outputs=True)
    def split(scan, day):
        """Airflow results in, several results out."""
        return {{"numbers": list(range(scan["angles"])), "count": scan["angles"], "day": day}}

    @task.globus_compute(**ARGUMENTS, outlets=[Asset("globus-test://squares")])
    def square(number, plus=0):
        return number * number + plus

    @task.globus_compute(**ARGUMENTS)
    def total(squares):
        return sum(squares)

    @task.globus_compute(**ARGUMENTS)
    def listed(numbers):
        return numbers

    parts = split(scan(), day="{{{{ dag_run.run_after.year }}}}")
    squares = square.partial(plus=1).expand(number=listed(parts["numbers"]))
    total(squares)

    GlobusComputeMapOperator(
        task_id="cubes", python_callable="builtins:pow", unpack="args", inputs=[[n, 3] for n in range(4)], **ARGUMENTS
    )
    halves = GlobusComputeMapOperator(task_id="halves", python_callable="operator:neg", inputs=squares, **ARGUMENTS)
    GlobusComputeShellOperator(
        task_id="shell", command="echo {{{{ ti.xcom_pull(task_ids='halves') | length }}}} results", **ARGUMENTS
    ) << halves
'''


def asset_events(dag_id: str, task_id: str) -> int:
    """How often a task has updated its outlets."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        events = select(func.count()).where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_task_id == task_id)
        return int(session.scalar(events) or 0)


@pytest.mark.parametrize("deferrable", [False, True])
def test_results_travel_between_tasks(
    deferrable: bool,
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
    globus_sandbox: GlobusSandbox,
    globus_compute_endpoint: ComputeEndpointFactory,
    tmp_path: Path,
) -> None:
    # Compute's limit on requests is one in sandbox time, which passes faster.
    globus_sandbox.clock.scale = 20
    globus_compute_endpoint("hpc", workers=4)
    (tmp_path / "computing.py").write_text(DAGS.format(deferrable=deferrable))
    dag = load(tmp_path / "computing.py")[f"computing_{deferrable}"]
    state, results = run(dag, {})
    assert state == "success"
    assert results["split"]["numbers"] == [0, 1, 2, 3, 4]
    assert results["total"] == sum(n * n + 1 for n in range(5))
    assert results["cubes"] == [0, 1, 8, 27]
    assert results["halves"] == [-1, -2, -5, -10, -17]
    assert results["shell"]["stdout"] == "5 results\n"
    world = globus_sandbox.world.compute
    started = [world.functions[task.function_id].name for task in world.tasks.values() if task.executions]
    assert started.count("square") == 5
    assert all(task.executions == 1 for task in world.tasks.values())
    assert asset_events(dag.dag_id, "square") == 5
    # Functions are registered once, not for each run or task.
    assert len({function.name for function in world.functions.values()}) == len(world.functions)


def test_registrations_outlive_the_process(
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
    globus_sandbox: GlobusSandbox,
    globus_compute_endpoint: ComputeEndpointFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are in an Airflow Variable."""
    from airflow_provider_globus.compute.registry import FunctionRegistry

    globus_compute_endpoint("hpc")
    (tmp_path / "once.py").write_text(
        "from airflow.sdk import DAG\n"
        "from airflow_provider_globus.operators.compute import GlobusComputeOperator\n"
        "with DAG('once'):\n"
        "    GlobusComputeOperator(\n"
        "        task_id='root', endpoint='hpc', python_callable='math:sqrt', op_args=[16], poll_interval=0.1)\n"
    )
    dag = load(tmp_path / "once.py")["once"]
    for _ in range(2):
        monkeypatch.setattr(FunctionRegistry, "_known", {})
        assert run(dag, {}) == ("success", {"root": 4.0})
    assert globus_sandbox.journal.count("compute", "POST", "/v3/functions") == 2


@pytest.mark.parametrize("name", ["first", "second"])
def test_one_test_does_not_live_on_the_tokens_of_another(
    name: str,
    load: Callable[[Path], dict[str, DAG]],
    run: Callable[[DAG, dict[str, Any]], tuple[str, dict[str, Any]]],
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    tmp_path: Path,
) -> None:
    """Its consents would be for collections that are gone."""
    globus_collection(name, files={"a.dat": "a"})
    (tmp_path / "listing.py").write_text(
        "from airflow.sdk import DAG\n"
        "from airflow_provider_globus.operators.collections import GlobusListOperator\n"
        "with DAG('listing'):\n"
        f"    GlobusListOperator(task_id='ls', collection={name!r}, path='/')\n"
    )
    assert run(load(tmp_path / "listing.py")["listing"], {})[0] == "success"

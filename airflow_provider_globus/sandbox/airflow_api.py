"""The few calls of Airflow's REST API that demos, tests and benchmarks need, with waits that name what went wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

FINISHED_RUN = frozenset({"success", "failed"})
FINISHED_TASK = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
PAGE = 100

# How often a request is sent again to an Airflow whose database is busy.
_BUSY_TRIES = 10


class AirflowApiError(RuntimeError):
    """Airflow refused a request, or did not reach a state in time."""


class AirflowApi:
    """Client of one Airflow's REST API v2, without log-in (the simple auth manager hands every caller a token).

    :param base_url: for example `http://127.0.0.1:8080`.
    :param poll_interval: seconds between two looks while waiting.
    """

    def __init__(self, base_url: str, *, poll_interval: float = 0.25) -> None:
        self.poll_interval = poll_interval
        # Loopback only: a proxy from the environment would get in the way.
        self._http = httpx.Client(base_url=base_url, timeout=30.0, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- plumbing -------------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call `/api/v2<path>` and return the JSON answer; every other answer is an AirflowApiError."""
        if "Authorization" not in self._http.headers:
            self._log_in()
        answer = self._http.request(method, f"/api/v2{path}", **kwargs)
        for _ in range(_BUSY_TRIES):
            # SQLite was locked by the scheduler: nothing was changed.
            if answer.status_code != 500 or "Database error" not in answer.text:
                break
            time.sleep(self.poll_interval)
            answer = self._http.request(method, f"/api/v2{path}", **kwargs)
        if answer.is_error:
            raise AirflowApiError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def _log_in(self) -> None:
        answer = self._http.get("/auth/token")
        if answer.is_error:
            raise AirflowApiError(f"GET /auth/token: {answer.status_code} {answer.text[:500]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def pages(self, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a paged list."""
        items: list[dict[str, Any]] = []
        while True:
            page = self.request("GET", path, params={**params, "limit": PAGE, "offset": len(items)})
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def wait_until(self, what: str, check: Callable[[], Any], timeout: float) -> Any:
        """Call `check` until it returns something true, and return that; AirflowApiError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not (found := check()):
            if time.monotonic() > deadline:
                raise AirflowApiError(f"waited {timeout:.0f} s for {what}")
            time.sleep(self.poll_interval)
        return found

    def health(self) -> dict[str, dict[str, str | None]]:
        """Status and last heartbeat of each component; empty while the API server does not answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return {}
        if answer.is_error:
            return {}
        return {name: part or {} for name, part in answer.json().items()}

    # -- DAGs and runs --------------------------------------------------------------------------------------------

    def import_errors(self) -> dict[str, str]:
        """Traceback by DAG file that could not be imported."""
        return {error["filename"]: error["stack_trace"] for error in self.pages("/importErrors", "import_errors")}

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until the DAG processor has seen the DAG; a broken DAG file is reported at once."""

        def look() -> dict[str, Any] | None:
            dags = self.pages("/dags", "dags", dag_id_pattern=dag_id)
            found = next((dag for dag in dags if dag["dag_id"] == dag_id), None)
            if found is None and (errors := self.import_errors()):
                raise AirflowApiError("\n".join(f"{name}:\n{trace}" for name, trace in errors.items()))
            return found

        dag: dict[str, Any] = self.wait_until(f"the DAG {dag_id}", look, timeout)
        return dag

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, *, run_id: str | None = None) -> str:
        """Start a run with `conf` as its params and return the run id."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One DAG run."""
        answer: dict[str, Any] = self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return answer

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout: float = 120.0) -> str:
        """Wait for the end of a run and return its state."""

        def finished() -> str | None:
            state = str(self.run(dag_id, run_id)["state"])
            return state if state in FINISHED_RUN else None

        return str(self.wait_until(f"the run {dag_id} {run_id}", finished, timeout))

    # -- task instances -------------------------------------------------------------------------------------------

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, mapped ones included."""
        return self.pages(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")

    def task_instance(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """One task instance."""
        answer: dict[str, Any] = self.request("GET", self._task_path(dag_id, run_id, task_id, map_index))
        return answer

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str] = FINISHED_TASK,
        *,
        map_index: int = -1,
        timeout: float = 60.0,
    ) -> dict[str, Any]:
        """Wait until a task instance is in one of `states`; a task that ended in another state is an error."""

        def arrived() -> dict[str, Any] | None:
            task = self.task_instance(dag_id, run_id, task_id, map_index=map_index)
            if task["state"] in states:
                return task
            if task["state"] in FINISHED_TASK:
                raise AirflowApiError(f"{task_id} is {task['state']}, wanted {sorted(states)}")
            return None

        task: dict[str, Any] = self.wait_until(f"{task_id} to be {sorted(states)}", arrived, timeout)
        return task

    def mark_task(self, dag_id: str, run_id: str, task_id: str, state: str, *, map_index: int = -1) -> None:
        """Mark a task instance `failed`, `success` or `skipped`, as a user does in the UI."""
        self.request("PATCH", self._task_path(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str | tuple[str, int]] | None = None,
        *,
        only_failed: bool = False,
        include_downstream: bool = False,
    ) -> list[dict[str, Any]]:
        """Clear task instances (all when `task_ids` is None), so that they run again; the cleared ones come back."""
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": include_downstream,
        }
        if task_ids is not None:
            body["task_ids"] = list(task_ids)
        answer = self.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
        return list(answer["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """Value of one XCom; AirflowApiError when there is none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.request("GET", path, params={"map_index": map_index, "deserialize": False})["value"]

    def xcoms(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Every XCom of a task instance by key."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        entries = self.pages(path, "xcom_entries", map_index=map_index)
        return {
            entry["key"]: self.xcom(dag_id, run_id, task_id, entry["key"], map_index=map_index) for entry in entries
        }

    def links(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, str | None]:
        """Return the extra links of a task instance by name."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links"
        answer = self.request("GET", path, params={"map_index": map_index})
        return dict(answer["extra_links"])

    def logs(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Log entries of one try (`event`, `level`, `timestamp`, …), the worker's and the triggerer's together."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.request("GET", path, params={"full_content": True, "map_index": map_index})
        return [line if isinstance(line, dict) else {"event": line} for line in answer["content"]]

    @staticmethod
    def _task_path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return path if map_index < 0 else f"{path}/{map_index}"

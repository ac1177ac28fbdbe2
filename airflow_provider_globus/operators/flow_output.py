"""The part of a flow run's output that an author asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_globus.exceptions import GlobusInputError, GlobusResultError


def check_output_path(path: str | None, refuse: Callable[[str, str], GlobusInputError]) -> None:
    """Refuse what is no JSONPath."""
    import jsonpath

    if path is None:
        return
    try:
        jsonpath.compile(path)
    except (jsonpath.JSONPathError, TypeError, AttributeError) as error:
        said = str(error).partition("\n")[0]
        raise refuse(f"output_path {path!r} is no JSONPath: {said}.", "Write it like $.State.details.") from None


def select_output(run: Mapping[str, Any], path: str) -> Any:
    """
    The part of a succeeded run's output.

    :raises GlobusResultError: when a path to one place leads nowhere, naming what there is.
    """
    import jsonpath

    output = (run.get("details") or {}).get("output")
    query = jsonpath.compile(path)
    found = query.findall(output)
    if not isinstance(query, jsonpath.JSONPath) or not query.singular_query():
        return found
    if not found:
        there = ", ".join(sorted(map(str, output))) if isinstance(output, Mapping) else type(output).__name__
        raise GlobusResultError(
            f"The output of run {run['run_id']} has nothing at {path!r}. At its top are: {there or 'nothing'}.",
            advice="Correct the operator's output_path, then clear the task; or have the flow write it there.",
        )
    return found[0]

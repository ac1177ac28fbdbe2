"""The laboratory for tests of Compute, and what else they need."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.compute_lab import PATIENCE_SECONDS, Lab

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox.server import GlobusSandbox


@pytest.fixture
def lab(sandbox_as_new: GlobusSandbox, tmp_path: Path) -> Lab:
    """A laboratory without tasks, collections or endpoints."""
    return Lab(sandbox_as_new, tmp_path)


@pytest.fixture
def refused() -> Callable[[Callable[[], object]], dict[str, Any]]:
    """Return the error document of a call that must be refused, with the HTTP status and the sandbox's mark.

    Findings in what was sent are texts: where, and what.
    """
    from globus_sdk import ComputeAPIError

    def call(act: Callable[[], object]) -> dict[str, Any]:
        with pytest.raises(ComputeAPIError) as caught:
            act()
        error = caught.value
        assert error.raw_json is not None
        document: dict[str, Any] = {"http_status_code": error.http_status, **error.raw_json}
        assert document["http_status_code"] == error.http_status
        if isinstance(document["detail"], list):
            document["detail"] = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in document["detail"]]
        return {**document, "provisional": error.headers.get("X-Sandbox-Provisional") == "1"}

    return call


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Wait for the end of a process that is no child of ours."""

    def wait(pid: int) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], PATIENCE_SECONDS)[0])
        finally:
            os.close(descriptor)

    return wait

"""Globus on loopback: the services of Globus in one process, moving real bytes, for tests and laptops.

``with GlobusSandbox() as globus:`` starts it; ``python -m airflow_provider_globus.sandbox serve`` does so from a shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.server import GlobusSandbox

__all__ = ["GlobusSandbox"]


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `airflow_provider_globus.sandbox.clock` alone does not load a web server.
    if name == "GlobusSandbox":
        from airflow_provider_globus.sandbox.server import GlobusSandbox

        return GlobusSandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

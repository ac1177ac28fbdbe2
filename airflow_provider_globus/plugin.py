"""What Airflow's own processes do for this package: keep the ledger of watchers' events (``triggers.event_ledger``)."""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class _Listener:
    """Hears Airflow's processes start."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """Keep the ledger in processes that write the metadata database; workers, which must not, are told too."""
        if type(component).__module__ != "airflow.jobs.job":
            return
        from airflow_provider_globus.triggers.event_ledger import keep_ledger

        keep_ledger()


class GlobusPlugin(AirflowPlugin):
    """Airflow loads it by its entry point: plugins in a provider's metadata it does not load when it starts lazily."""

    name = "globus"
    listeners = [_Listener()]  # noqa: RUF012 - Airflow's own declaration

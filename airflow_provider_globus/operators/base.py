"""The base of all operators: one that calls Globus."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_globus.exceptions import GlobusInputError

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook


class GlobusOperator(BaseOperator):
    """
    An operator that calls Globus.

    :param globus_conn_id: id of an Airflow connection of type ``globus``.
    """

    def __init__(self, *, globus_conn_id: str = "globus_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.globus_conn_id = globus_conn_id

    @cached_property
    def hook(self) -> GlobusHook:
        """The hook of this operator's connection; made on first use, since DAG files are parsed often."""
        from airflow_provider_globus.hooks.globus import GlobusHook

        return GlobusHook(self.globus_conn_id, caller=type(self).__name__)

    @cached_property
    def _killed(self) -> threading.Event:
        """Set once the task is killed; made when needed, since a DAG that holds locks cannot be copied."""
        return threading.Event()

    def on_kill(self) -> None:
        """End whatever waits: the worker was told to stop."""
        self._killed.set()

    def refuse(self, message: str, advice: str = "") -> GlobusInputError:
        """An error about this operator's arguments, to be raised before any request leaves."""
        return GlobusInputError(f"{type(self).__name__}: {message}", advice=advice)

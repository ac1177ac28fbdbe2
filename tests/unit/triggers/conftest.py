"""The metadata database, for what watchers' events leave in it."""

from tests.dag_runs import database

__all__ = ["database"]

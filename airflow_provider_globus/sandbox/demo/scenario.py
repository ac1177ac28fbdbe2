"""What a scenario is: the world an example DAG runs in, and how to tell that the DAG did its work.

A new example DAG gets a demo by one module in `scenarios/`, named like the DAG, with one class `Demo(Scenario)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.sandbox.demo import scenarios

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.demo.s3 import S3Server


@dataclass(frozen=True)
class Check:
    """One thing that must be true after the run."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Place:
    """Where files are after the run: what a collection calls it, and where a person can look."""

    collection: str
    path: str
    on_disk: Path


class Scenario(ABC):
    """The surroundings of one example DAG.

    :param folder: an empty folder for the scenario's files; it stays after the demo, for people to look at.
    :param globus: the sandbox, running.
    :param s3: an S3 service, running.
    """

    dag_id: ClassVar[str]
    #: Sandbox seconds data takes: slow enough that Airflow's tasks wait and progress is seen.
    bytes_per_second: ClassVar[float | None] = None

    def __init__(self, folder: Path, globus: GlobusSandbox, s3: S3Server) -> None:
        self.folder = folder
        self.globus = globus
        self.s3 = s3

    @abstractmethod
    def prepare(self) -> None:
        """Make the sample data, the collections and the identities."""

    @property
    @abstractmethod
    def conf(self) -> dict[str, Any]:
        """Params of the run that differ from the DAG's defaults."""

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Params of the runs, one after the other; one run, unless a DAG is worth looking at a second time."""
        return [self.conf]

    @property
    def connections(self) -> dict[str, str]:
        """Further Airflow connections that the DAG needs, as JSON by id."""
        return {}

    @property
    def secrets(self) -> list[str]:
        """What must not be found anywhere afterwards, beside the secrets of Globus."""
        return []

    def while_running(self, states: Mapping[str, str | None]) -> None:  # noqa: B027 - most have nothing to do
        """Do what happens outside Airflow while the DAG runs; `states` holds each task's state."""

    @abstractmethod
    def checks(self, xcoms: Mapping[str, Any]) -> list[Check]:
        """Look at the result; `xcoms` holds each task's return value, of a mapped task a list of them."""

    def checks_after(self, number: int, xcoms: Mapping[str, Any]) -> list[Check]:
        """Look at the result of one of several runs, the first of which is number 1."""
        return self.checks(xcoms)

    @abstractmethod
    def places(self) -> list[Place]:
        """Where the files are now."""


def names() -> list[str]:
    """Return the DAGs that have a demo."""
    return sorted(module.name for module in iter_modules(scenarios.__path__))


def load(name: str) -> Callable[[Path, GlobusSandbox, S3Server], Scenario]:
    """Return the scenario of a DAG; ValueError names those there are."""
    if name not in names():
        raise ValueError(f"There is no demo of {name!r}; there are: {', '.join(names())}")
    scenario: Callable[[Path, GlobusSandbox, S3Server], Scenario] = import_module(f"{scenarios.__name__}.{name}").Demo
    return scenario

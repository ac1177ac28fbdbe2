"""
``airflow globus sandbox …``: the sandbox's own command line, which takes over this process.

So Ctrl-C and other signals reach it, and its exit status is that of the command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.requirements import Requirement

if TYPE_CHECKING:
    import argparse

_PACKAGE = "airflow-provider-globus"
_MODULE = "airflow_provider_globus.sandbox"


def serve(args: argparse.Namespace) -> None:
    """Run the sandbox's ``serve``."""
    names = ("port", "tls_port", "ca_file", "host", "seed", "clock_scale", "random_seed")
    flags = ("quiet", "print_env", "allow_non_loopback")
    _become(_MODULE, "serve", *_options(args, *names, *flags), extra="sandbox")


def seed(args: argparse.Namespace) -> None:
    """Run the sandbox's ``seed``."""
    options = _options(args, "example", "check", "url", "mark")
    _become(_MODULE, "seed", *options, *_positional(args.file), extra="sandbox")


def demo(args: argparse.Namespace) -> None:
    """Run the demo of an example DAG."""
    dag = [f"--dag={args.dag}"] if args.dag else []
    _become(f"{_MODULE}.demo", *dag, *_options(args, "ui", "dags", "work"), extra="demo")


def _options(args: argparse.Namespace, *names: str) -> Iterator[str]:
    """The options that were given, as they were."""
    for name in names:
        value: Any = getattr(args, name)
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value not in (None, False):
            # One word, since a value may begin with a dash.
            yield f"{option}={value}"


def _positional(value: str | None) -> list[str]:
    return [] if value is None else ["--", value]


def _become(module: str, *arguments: str, extra: str) -> NoReturn:
    if lacking := missing(extra):
        sys.exit(
            f"This needs packages that are not installed ({', '.join(lacking)}): "
            f"pip install '{_PACKAGE}[{extra}]' in the environment of {sys.executable}."
        )
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - no shell, as is wanted


def missing(extra: str) -> list[str]:
    """The packages of one of our extras that are not installed, or too old."""
    lacking: list[str] = []
    for text in distribution(_PACKAGE).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        if requirement.name == _PACKAGE:
            lacking += [name for inner in sorted(requirement.extras) for name in missing(inner)]
        elif not _is_there(requirement):
            lacking.append(requirement.name)
    return sorted(set(lacking))


def _is_there(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(distribution(requirement.name).version, prereleases=True)
    except PackageNotFoundError:
        return False

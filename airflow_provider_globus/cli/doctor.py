"""``airflow globus doctor``: looks at all that DAGs will need of a connection, and says how to cure what is wrong."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.cli.connections import see_all_connections
from airflow_provider_globus.exceptions import GlobusConfigError, GlobusError, GlobusUnavailableError
from airflow_provider_globus.get_provider_info import get_provider_info
from airflow_provider_globus.hooks.errors import globus_errors
from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    import argparse

    from airflow.sdk import Connection

OK, WARNING, PROBLEM = "ok", "warning", "problem"

#: Seconds that this machine's clock may be off. Tokens are judged by Globus's clock, and deadlines are sent by ours.
CLOCK_TOLERANCE = 60.0


#: What to do when no answer came at all. The error's own advice is for tasks, which try again.
_UNREACHED = (
    "Check that this machine can reach the service: HTTPS, port 443, if need be through a proxy (HTTPS_PROXY). "
    "Workers and triggerers need the same."
)


class Finding(NamedTuple):
    """
    One thing that was looked at.

    :param subject: what it is.
    :param state: ``ok``; ``warning`` for what some DAGs will miss; ``problem`` for what has to be cured.
    :param said: what was found.
    :param cure: what to do; empty when all is well.
    """

    subject: str
    state: str
    said: str
    cure: str = ""


def command(args: argparse.Namespace) -> None:
    """Run the command line's ``doctor``; ends the process with status 1 when there is a problem."""
    from airflow.cli.simple_table import AirflowConsole

    see_all_connections()
    findings, console = list(examine(args.conn_id)), AirflowConsole()
    rows = [finding._asdict() for finding in findings]
    if args.output == "table":
        # Below the table a cure can be copied: it is not broken into the lines of a cell.
        for row in rows:
            del row["cure"]
        console.print_as(data=rows, output=args.output)
        for finding in findings:
            if finding.cure:
                console.print(f"{finding.subject}: {finding.cure}", highlight=False, markup=False, soft_wrap=True)
    else:
        console.print_as(data=rows, output=args.output)
    if any(finding.state == PROBLEM for finding in findings):
        sys.exit(1)


def examine(conn_id: str) -> Iterator[Finding]:
    """Look at everything, and yield what was found; what depends on something that is wrong is not looked at."""
    yield from _versions()
    hook = GlobusHook(conn_id, caller="doctor")
    for finding in chain(_connection(hook), _identity(hook)):
        yield finding
        if finding.state == PROBLEM:
            return
    yield from _services(hook)
    yield from _collections(hook)
    yield from _aliases(hook)


def _versions() -> Iterator[Finding]:
    packages = ("apache-airflow", "airflow-provider-globus", "globus-sdk", "globus-compute-sdk")
    said = ", ".join(f"{package} {version(package)}" for package in packages)
    if tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 3):
        cure = "Use Airflow 3.3: before it, a retry cannot know what a worker that died has submitted."
        yield Finding("versions", WARNING, said, cure)
    else:
        yield Finding("versions", OK, said)


def _connection(hook: GlobusHook) -> Iterator[Finding]:
    from airflow.sdk.exceptions import AirflowNotFoundException

    name, subject = hook.globus_conn_id, "connection"
    try:
        settings = hook.settings
        settings.check_files()
    except AirflowNotFoundException:
        yield _no_connection(name)
        return
    except GlobusError as error:
        problem = _problem(subject, error)
        yield problem._replace(cure=problem.cure or "Correct it where the connection is kept.")
        return
    kind = "service account" if settings.app_type == "client" else "person with refresh tokens"
    yield Finding(subject, OK, f"{name}: {kind}, client {settings.client_id}")
    yield from _oddities(hook.get_connection(name))


def _no_connection(name: str) -> Finding:
    # A file, since others see the arguments of a command.
    example = f'{{"{name}": {{"conn_type": "globus", "login": "CLIENT_ID", "password": "SECRET"}}}}'
    variable = f"AIRFLOW_CONN_{name.upper()}"
    if os.environ.get(variable):
        # Airflow says no more of one that it cannot read.
        said = f"The environment variable {variable} holds no connection that Airflow can read."
        cure = (
            'Write it as JSON, {"conn_type": "globus", "login": "CLIENT_ID", …}, in single quotes if a shell sets it.'
        )
        return Finding("connection", PROBLEM, said, cure)
    return Finding(
        "connection",
        PROBLEM,
        f"There is no connection {name!r}.",
        f"Add it: airflow connections import FILE, which holds {example} (or in the UI: Admin, Connections, type "
        "Globus). Client id and secret are those of a service account, which you register at "
        "https://app.globus.org/settings/developers. To act as a person instead: airflow globus login.",
    )


def _oddities(connection: Connection) -> Iterator[Finding]:
    """What of a connection works, but not as was meant."""
    if connection.conn_type != "globus":
        said = f"Its type is {connection.conn_type!r}, not 'globus'."
        yield Finding("connection type", WARNING, said, "Set the type to Globus: the form then shows Globus's fields.")
    known = get_provider_info()["connection-types"][0]["conn-fields"]
    for field in sorted(set(connection.extra_dejson) - set(known)):
        meant = get_close_matches(field, known, 1)
        cure = f"Is it {meant[0]}?" if meant else f"Known are: {', '.join(sorted(known))}."
        yield Finding("connection extra", WARNING, f"The field {field!r} means nothing.", cure)


def _identity(hook: GlobusHook) -> Iterator[Finding]:
    try:
        with globus_errors("asking Globus Auth who this is"):
            response = hook.auth_client().userinfo()
    except GlobusError as error:
        yield _problem("identity", error)
        return
    who = response.data
    yield Finding("identity", OK, f"{who.get('preferred_username') or who['sub']} ({who['sub']})")
    yield clock(response.headers.get("Date"))


def clock(told: str | None) -> Finding:
    """Compare this machine's clock with the ``Date`` of an answer."""
    if told is None:
        return Finding("clock", OK, "Globus did not say what time it is.")
    off = time.time() - parsedate_to_datetime(told).timestamp()
    if abs(off) <= CLOCK_TOLERANCE:
        return Finding("clock", OK, "agrees with Globus")
    said = f"This machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} Globus's."
    return Finding("clock", WARNING, said, "Have it set by NTP: deadlines and the ends of tokens are missed otherwise.")


def _services(hook: GlobusHook) -> Iterator[Finding]:
    settings = hook.settings
    # A service that an alias needs must answer; without the others many DAGs do.
    looks: dict[str, tuple[bool, Callable[[], Any]]] = {
        "Transfer": (True, lambda: hook.transfer_client(polling=True).task_list(limit=1)),
        "Compute": (bool(settings.compute_endpoints), lambda: hook.compute_client_v2(polling=True).get_endpoints()),
        "Flows": (bool(settings.flows), lambda: hook.flows_client(polling=True).list_flows()),
        "Search": (bool(settings.search_indexes), lambda: hook.search_client(polling=True).index_list()),
    }
    for name, (needed, look) in looks.items():
        try:
            with globus_errors(f"asking {name} for what there is"):
                look()
        except GlobusError as error:
            state = PROBLEM if needed or not isinstance(error, GlobusConfigError) else WARNING
            yield _problem(name, error, state)
        else:
            yield Finding(name, OK, "answers")


def _collections(hook: GlobusHook) -> Iterator[Finding]:
    for alias, collection in sorted(hook.settings.collections.items()):
        subject = f"collection {alias}"
        try:
            collection_id = hook.use_collection(collection)
            document = hook.collection(collection_id)
            client = hook.transfer_client(polling=True)
            hook.call(f"listing the collection {alias!r}", client.operation_ls, collection_id, limit=1)
        except GlobusError as error:
            yield _problem(subject, error)
            continue
        said = f"{document['display_name']} ({collection_id}) can be listed"
        if document.get("high_assurance"):
            cure = "It demands a recent login: make sure that service accounts are allowed and tasks end in time."
            yield Finding(subject, WARNING, f"{said}; it is a high assurance collection.", cure)
        else:
            yield Finding(subject, OK, said)


def _aliases(hook: GlobusHook) -> Iterator[Finding]:
    settings = hook.settings
    for kind, aliases, tell in (
        ("Compute endpoint", settings.compute_endpoints, hook.endpoint_status),
        ("flow", settings.flows, hook.flow_title),
        ("Search index", settings.search_indexes, hook.index_name),
    ):
        for alias, item_id in sorted(aliases.items()):
            subject = f"{kind} {alias}"
            try:
                said = tell(item_id)
            except GlobusError as error:
                yield _problem(subject, error)
                continue
            if tell == hook.endpoint_status and said != "online":
                cure = "Start it on its machine: globus-compute-endpoint start NAME."
                yield Finding(subject, PROBLEM, f"{item_id} is {said}", cure)
            else:
                yield Finding(subject, OK, said)


def _problem(subject: str, error: GlobusError, state: str = PROBLEM) -> Finding:
    unreached = isinstance(error, GlobusUnavailableError) and error.status is None
    return Finding(subject, state, error.message, _UNREACHED if unreached else error.advice)

"""
What the command line offers. Airflow asks for it at each start of its own command line, so this imports little.

``airflow-globus`` is the same commands without ``airflow`` in front.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand, GroupCommand


#: Services that a login can be for.
LOGIN_SERVICES = ("transfer", "flows", "compute", "search", "groups")

#: Mapped tasks, or inputs, that are assumed where the DAG does not say how many there will be.
ASSUMED_MAPPED = 10


def get_globus_cli_commands() -> list[CLICommand]:
    """Return the commands, for Airflow."""
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, GroupCommand, lazy_load_command

    connection = Arg(
        ("-c", "--conn-id"),
        help="Id of the Airflow connection (default: %(default)s)",
        default="globus_default",
        metavar="CONN_ID",
    )
    package = "airflow_provider_globus.cli"
    doctor = ActionCommand(
        name="doctor",
        help="Check a Globus connection and all it names, and say how to cure what is wrong",
        description=(
            "Looks at what DAGs will need: the connection, the clock, the identity, each Globus service, and each "
            "collection, Compute endpoint, flow and Search index that the connection has an alias for. "
            "Changes nothing. Ends with status 1 when there is a problem."
        ),
        func=lazy_load_command(f"{package}.doctor.command"),
        args=(connection, ARG_OUTPUT),
    )
    collections = GroupCommand(
        name="collections",
        help="Find collections, as the connection's identity sees them",
        subcommands=(
            ActionCommand(
                name="search",
                help="Search collections by words in their names, descriptions and keywords",
                func=lazy_load_command(f"{package}.collections.search"),
                args=(
                    Arg(("text",), help="Words to look for"),
                    Arg(("--limit",), help="Most to show (default: %(default)s)", type=int, default=25),
                    connection,
                    ARG_OUTPUT,
                ),
            ),
            ActionCommand(
                name="resolve",
                help="Say which collection an operator's argument means",
                func=lazy_load_command(f"{package}.collections.resolve"),
                args=(Arg(("collection",), help="UUID, alias or display name"), connection, ARG_OUTPUT),
            ),
        ),
    )
    login = ActionCommand(
        name="login",
        help="Log in as a person, and print the connection that acts as that person",
        description=(
            "For connections that act as a person rather than a service account. Register a native app "
            "('thick client') at https://app.globus.org/settings/developers once, and give its client id. "
            "Standard output gets the connection as JSON; it holds refresh tokens, so keep it secret."
        ),
        func=lazy_load_command(f"{package}.login.command"),
        args=(
            Arg(("--client-id",), help="UUID of the native app", required=True),
            Arg(
                ("--service",),
                help="A service that DAGs will use; may be repeated (default: transfer)",
                action="append",
                choices=LOGIN_SERVICES,
            ),
            Arg(
                ("--data-access",),
                help="UUID of a mapped collection that Transfer shall read and write for you; may be repeated",
                action="append",
                metavar="COLLECTION",
            ),
            connection,
        ),
    )
    cost = ActionCommand(
        name="cost",
        help="Say how many API calls a DAG's waits will make",
        description=(
            "Loads the DAG and estimates, for each task that waits for Globus and each watcher of its assets, how "
            "often Globus is asked, what deferred tasks save by sharing a poll, and what part of Globus's limit it is. "
            "Needs no connection and asks Globus nothing."
        ),
        func=lazy_load_command(f"{package}.cost.command"),
        args=(
            Arg(("dag",), help="Id of a DAG, or a DAG file", metavar="DAG_ID_OR_FILE"),
            Arg(("--hours",), help="Hours that each wait takes (default: %(default)s)", type=float, default=1.0),
            Arg(
                ("--mapped",),
                help="Mapped tasks, or inputs, where the DAG does not say how many (default: %(default)s)",
                type=int,
                default=ASSUMED_MAPPED,
            ),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )
    commands = (doctor, login, collections, cost, _sandbox_commands())
    return [GroupCommand(name="globus", help="Look at Globus as your DAGs do", subcommands=commands)]


def _sandbox_commands() -> GroupCommand:
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

    module = "airflow_provider_globus.cli.sandbox"
    return GroupCommand(
        name="sandbox",
        help="Globus on this machine, for development and tests",
        subcommands=(
            ActionCommand(
                name="serve",
                help="Serve a sandbox until Ctrl-C",
                description=(
                    "Prints the Airflow connection and the environment variables that lead to it. With an AMQP URL in "
                    "GLOBUS_SANDBOX_AMQP_URL, real Compute endpoints can register; a port in GLOBUS_SANDBOX_PORT is "
                    "the default of --port, and of the --url of `sandbox seed`."
                ),
                func=lazy_load_command(f"{module}.serve"),
                args=(
                    Arg(("--port",), help="Where to listen; 0 takes a free port (default 8765)", metavar="PORT"),
                    Arg(
                        ("--tls-port",),
                        help="Where Connect Server and collections' data are served over TLS (default a free one)",
                        metavar="PORT",
                    ),
                    Arg(
                        ("--ca-file",),
                        help="Write the certificate that TLS clients have to trust here (default a temporary file)",
                        metavar="FILE",
                    ),
                    Arg(("--host",), help="Address to listen on (default 127.0.0.1)"),
                    Arg(
                        ("--seed",),
                        help="YAML file with what it starts with; `sandbox seed --example` prints one",
                        metavar="FILE",
                    ),
                    Arg(("--clock-scale",), help="Sandbox seconds in a real second (default 1)", metavar="NUMBER"),
                    Arg(("--random-seed",), help="Make ids and tokens the same in every run", metavar="TEXT"),
                    Arg(("--quiet",), help="Do not log requests", action="store_true"),
                    Arg(
                        ("--print-env",),
                        help="Print the environment for clients of such a sandbox, do not serve",
                        action="store_true",
                    ),
                    Arg(
                        ("--allow-non-loopback",),
                        help="Listen where others may reach it; they then may read and write every collection",
                        action="store_true",
                    ),
                ),
            ),
            ActionCommand(
                name="seed",
                help="Print an example seed, check a seed file, or put one into a running sandbox",
                func=lazy_load_command(f"{module}.seed"),
                args=(
                    Arg(("file",), help="The YAML file; relative folders are beside it", nargs="?", metavar="FILE"),
                    Arg(("--example",), help="Print a seed to begin with", action="store_true"),
                    Arg(("--check",), help="Only say whether the file is good; needs no sandbox", action="store_true"),
                    Arg(("--url",), help="The running sandbox (default http://127.0.0.1:8765)"),
                    Arg(
                        ("--mark",),
                        help="Make what the sandbox then holds what a reset goes back to",
                        action="store_true",
                    ),
                ),
            ),
            ActionCommand(
                name="demo",
                help="Run an example DAG on real files, in a real Airflow, with the sandbox as its Globus",
                func=lazy_load_command(f"{module}.demo"),
                args=(
                    Arg(("dag",), help="The example (default instrument_to_archive)", nargs="?", metavar="DAG"),
                    Arg(("--ui",), help="Leave Airflow up after the run, until Ctrl-C", action="store_true"),
                    Arg(
                        ("--dags",),
                        help="Folder of the example DAGs, which are in the repository, not in the package",
                        metavar="FOLDER",
                    ),
                    Arg(("--work",), help="Folder for data, logs and caches (default .demo)", metavar="FOLDER"),
                ),
            ),
        ),
    )


def main() -> None:
    """Run ``airflow-globus``."""
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "globus", *sys.argv[1:]]
    airflow()

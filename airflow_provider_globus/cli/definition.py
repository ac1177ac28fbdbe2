"""
What the command line offers. Airflow asks for it at each start of its own command line, so this imports little.

``airflow-globus`` is the same commands without ``airflow`` in front.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


#: Services that a login can be for.
LOGIN_SERVICES = ("transfer", "flows", "compute", "search", "groups")


def get_globus_cli_commands() -> list[CLICommand]:
    """Return the commands, for Airflow."""
    from airflow.cli.cli_config import ARG_OUTPUT, ActionCommand, Arg, GroupCommand, lazy_load_command

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
    commands = (doctor, login, collections)
    return [GroupCommand(name="globus", help="Look at Globus as your DAGs do", subcommands=commands)]


def main() -> None:
    """Run ``airflow-globus``."""
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "globus", *sys.argv[1:]]
    airflow()

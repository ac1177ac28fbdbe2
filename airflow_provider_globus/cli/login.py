"""``airflow globus login``: a person logs in once, and the connection that acts as that person from then on."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.hooks.credentials import APP_NAME
from airflow_provider_globus.hooks.errors import globus_errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from globus_sdk.scopes import Scope


def command(args: argparse.Namespace) -> None:
    """Ask the person for the code that Globus shows, and print the connection; a refusal ends with status 1."""
    from globus_sdk import NativeAppAuthClient

    client = NativeAppAuthClient(args.client_id, app_name=APP_NAME)
    client.oauth2_start_flow(
        requested_scopes=scopes(args.service or ["transfer"], args.data_access or []), refresh_tokens=True
    )
    _tell(f"Log in at this page, and allow what it asks for:\n\n    {client.oauth2_get_authorize_url()}\n")
    code = _ask("The code that it shows: ")
    try:
        with globus_errors("exchanging the code for tokens"):
            response = client.oauth2_exchange_code_for_tokens(code)
    except GlobusError as error:
        sys.exit(f"{error} Codes are good for ten minutes and once: log in again.")
    tokens = [token["refresh_token"] for token in response.by_resource_server.values() if token.get("refresh_token")]
    connection = {
        "conn_type": "globus",
        "login": args.client_id,
        # The connection's field is text: a list in it is JSON.
        "extra": {"app_type": "user", "refresh_token": json.dumps(tokens)},
    }
    _tell(
        "\nKeep this secret: it acts as you until you withdraw it at https://app.globus.org/settings/consents.\n"
        f'In a file, as {{"{args.conn_id}": …}}, `airflow connections import` takes it; so does the variable '
        f"AIRFLOW_CONN_{args.conn_id.upper()}:\n"
    )
    sys.stdout.write(f"{json.dumps(connection)}\n")


def scopes(services: Sequence[str], data_access: Sequence[str]) -> list[Scope]:
    """Return what a login has to allow.

    :param services: of `definition.LOGIN_SERVICES`.
    :param data_access: UUIDs of mapped collections whose data Transfer shall read and write.
    """
    from globus_sdk.scopes import (
        AuthScopes,
        ComputeScopes,
        FlowsScopes,
        GCSCollectionScopes,
        GroupsScopes,
        SearchScopes,
        TransferScopes,
    )

    collections = [GCSCollectionScopes(collection).data_access.with_optional(True) for collection in data_access]
    of_services: dict[str, Any] = {
        "transfer": TransferScopes.all.with_dependencies(collections),
        "flows": FlowsScopes.all,
        "compute": ComputeScopes.all,
        "search": SearchScopes.all,
        "groups": GroupsScopes.all,
    }
    # Who it is belongs to every login: the connection's test and the doctor ask for it.
    return [AuthScopes.openid, AuthScopes.profile, AuthScopes.email, *(of_services[name] for name in services)]


def _ask(question: str) -> str:
    # To the terminal, so that the connection alone is what a pipe gets.
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")

"""``airflow globus collections …``: which collections there are, and which one an operator's argument means."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.cli.connections import see_all_connections
from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def search(args: argparse.Namespace) -> None:
    """Show the collections that words find."""
    see_all_connections()
    hook = GlobusHook(args.conn_id, caller="collections search")
    client = hook.transfer_client(polling=True)
    try:
        found = hook.call("searching collections", client.endpoint_search, args.text, limit=args.limit)
    except GlobusError as error:
        sys.exit(f"{error}")
    _show([_row(document, hook.settings.collections) for document in found["DATA"]], args.output)


def resolve(args: argparse.Namespace) -> None:
    """Show the one collection that a UUID, alias or display name means; ends with status 1 when there is none."""
    see_all_connections()
    hook = GlobusHook(args.conn_id, caller="collections resolve")
    try:
        document = hook.collection(hook.resolve_collection(args.collection))
    except GlobusError as error:
        sys.exit(f"{error}")
    _show([_row(document, hook.settings.collections)], args.output)


def _row(document: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": document["id"],
        "display_name": document["display_name"],
        "alias": ", ".join(sorted(alias for alias, collection in aliases.items() if collection == document["id"])),
        "kind": str(document.get("entity_type") or "").removeprefix("GCSv5_").replace("_", " "),
        "owner": document.get("owner_string"),
    }


def _show(rows: list[dict[str, Any]], output: str) -> None:
    from airflow.cli.simple_table import AirflowConsole

    AirflowConsole().print_as(data=rows, output=output)

"""Storage gateways for tests of operators: one that is made, what the server holds, what was sent to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.operators.storage_gateways import GlobusCreateStorageGatewayOperator
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

S3 = {"s3_endpoint": "https://s3.example.org", "s3_buckets": ["raw", "archive"]}


def create(**changes: Any) -> GlobusCreateStorageGatewayOperator:
    arguments = {"task_id": "t", "endpoint": ENDPOINT_ID, "display_name": "Buckets", "connector": "S3", "policies": S3}
    return GlobusCreateStorageGatewayOperator(**{**arguments, **changes})


def there(globus: GlobusSandbox) -> dict[str, dict[str, Any]]:
    """What the server holds, by name."""
    gateways = globus.world.connect_server.gateways.values()
    return {gateway.display_name: {**gateway.fields, "id": gateway.id} for gateway in gateways}


def sent(globus: GlobusSandbox, *methods: str) -> list[Any]:
    """Requests to the GCS Manager that change something."""
    return [entry for entry in globus.journal.requests("connect_server") if entry.method in (methods or _CHANGES)]


_CHANGES = ("POST", "PATCH", "PUT", "DELETE")


def body(entry: Any) -> dict[str, Any]:
    found = entry.body if isinstance(entry.body, dict) else json.loads(entry.body)
    return dict(found)

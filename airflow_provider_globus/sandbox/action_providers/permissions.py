"""Access rules of guest collections: made, changed, taken away."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import SUCCEEDED, Action, ActionRefused, EndsAtOnce, Progress
from airflow_provider_globus.sandbox.action_providers.refusals import refusals
from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL
from airflow_provider_globus.sandbox.internal import call
from airflow_provider_globus.sandbox.transfer.routes import SERVICE

_RULE = ("path", "permissions", "principal_type", "principal", "expiration_date", "notify_email", "notify_message")


class PermissionProvider(EndsAtOnce):
    """Shares folders of a guest collection."""

    title: ClassVar[str] = "Globus Set/Manage Permission"
    urls: ClassVar[tuple[str, ...]] = ("https://transfer.actions.globus.org/manage_permission",)
    scope: ClassVar[str] = TRANSFER_ALL
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "operation": {"enum": ["CREATE", "UPDATE", "DELETE"]},
            "endpoint_id": {"type": "string"},
            "rule_id": {"type": "string"},
            **{name: {"type": ["string", "null"]} for name in _RULE},
        },
        "required": ["operation", "endpoint_id"],
    }

    def start(self, action: Action) -> Progress:
        """Change the rule."""
        body, operation = action.body, action.body["operation"]
        rules = f"/v0.10/endpoint/{body['endpoint_id']}/access"
        if operation != "CREATE" and not body.get("rule_id"):
            raise ActionRefused(400, "RequestValidationError", f"{operation} needs a rule_id")
        rule = {name: body[name] for name in _RULE if body.get(name) is not None}
        with refusals():
            if operation == "CREATE":
                answer = call(action.world, SERVICE, "POST", rules, action.caller, json={"DATA_TYPE": "access", **rule})
            else:
                method = "PUT" if operation == "UPDATE" else "DELETE"
                answer = call(action.world, SERVICE, method, f"{rules}/{body['rule_id']}", action.caller, json=rule)
        return Progress(SUCCEEDED, {**answer, "access_id": answer.get("access_id") or body.get("rule_id")})


class LegacyPermissionProvider(PermissionProvider):
    """Shares folders, at the address older flows have."""

    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/transfer/set_permission",)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/actions.globus.org/transfer/set_permission"

"""E-mail: written to the outbox, never sent."""

from __future__ import annotations

import string
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import SUCCEEDED, Action, EndsAtOnce, Progress


class NotificationProvider(EndsAtOnce):
    """Sends an e-mail made from a template, in which ``$name`` stands for a variable."""

    title: ClassVar[str] = "Notification"
    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/notification/notify",)
    scope: ClassVar[str] = "https://auth.globus.org/scopes/5fac2e64-c734-4e6b-90ea-ff12ddbf9653/notification_notify"
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            **{name: {"type": "string"} for name in ("body_template", "body_mimetype", "sender", "subject")},
            "body_variables": {"type": "object"},
            "destination": {"type": ["string", "array"]},
            "notification_method": {"enum": ["email", "any"]},
            "notification_priority": {"type": "string"},
            "send_credentials": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["body_template", "destination", "subject"],
    }

    def start(self, action: Action) -> Progress:
        """Write the message to the outbox; how it would have been sent stays out of it."""
        body = action.body
        template = string.Template(body["body_template"])
        # Without Template.substitute's error for what is no variable: a price in a message is none.
        text = template.safe_substitute(body.get("body_variables") or {})
        action.world.outbox.put(
            "email",
            run_id=action.run_id,
            sender=body.get("sender"),
            destination=body["destination"],
            subject=body["subject"],
            body=text,
            mimetype=body.get("body_mimetype", "text/plain"),
        )
        return Progress(SUCCEEDED, {"notification_method": "email", "destination": body["destination"]})

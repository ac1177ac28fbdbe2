"""DOIs: recorded in the outbox, never registered with DataCite."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from airflow_provider_globus.sandbox.action_providers.base import SUCCEEDED, Action, EndsAtOnce, Progress

_TEST_PREFIX = "10.80206"


class DataciteProvider(EndsAtOnce):
    """Mints a DOI that nobody can resolve."""

    title: ClassVar[str] = "DataCite Mint"
    urls: ClassVar[tuple[str, ...]] = ("https://actions.globus.org/datacite/mint/basic_auth",)
    scope: ClassVar[str] = (
        "https://auth.globus.org/scopes/5fac2e64-c734-4e6b-90ea-ff12ddbf9653/datacite_mint_basic_auth_action_all"
    )
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "as_test": {"type": "boolean"},
            "username": {"type": "string"},
            "password": {"type": "string"},
            "Doi": {"type": "object"},
        },
        "required": ["Doi", "username", "password"],
    }

    def start(self, action: Action) -> Progress:
        """Record what would have been minted, without the password."""
        wanted = action.body["Doi"]
        attributes = wanted.get("attributes", wanted)
        suffix = uuid.uuid5(uuid.NAMESPACE_URL, action.id).hex[:10]
        doi = attributes.get("doi") or f"{attributes.get('prefix', _TEST_PREFIX)}/sandbox-{suffix}"
        action.world.outbox.put("doi", run_id=action.run_id, doi=doi, attributes=attributes)
        # Not confirmed by any recording: how DataCite's answer is wrapped.
        answer = {"id": doi, "type": "dois", "attributes": {**attributes, "doi": doi}}
        return Progress(SUCCEEDED, {"data": answer, "id": doi})

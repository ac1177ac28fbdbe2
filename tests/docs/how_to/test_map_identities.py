"""Identity mappings: the page's documents map as its table says, and only then reach the gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page


def test_map_identities(page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    globus_collection("Cluster")  # on a gateway named after it
    server = globus_sandbox.world.connect_server
    (gateway,) = server.gateways.values()
    assert gateway.display_name == "Cluster storage"

    def there() -> Any:
        return server.gateways[gateway.id].fields.get("identity_mappings")

    page.replace("<client UUID>", globus_sandbox.client_id)
    page.replace("<UUID of the Connect Server endpoint>", ENDPOINT_ID)
    before = there()
    page.run(until='DAG("map_identities"')
    assert there() == before, "proving changes nothing"
    assert "1 passed" in page.output("def test_everybody")
    shown = page.output("print(check_identity_mapping")
    assert page.block("Proved: 2 identities").text.strip() in shown

    page.run()
    written = json.loads((page.folder / "mappings/cluster.json").read_text())
    assert there() == [written]
    table = yaml.safe_load((page.folder / "mappings/expected.yaml").read_text())
    assert page.results("map_identities")["cluster"] == {
        "storage_gateway_id": gateway.id,
        "action": "updated",
        "proved": len(table),
    }
    for row in table:
        identity = {"id": "00000000-0000-4000-8000-00000000000a", "username": row["identity"]}
        wanted = [] if row["local_user"] is None else [row["local_user"]]
        assert server.gateways[gateway.id].mapper.accounts(identity) == wanted
    assert page.run_dag("map_identities").results["cluster"]["action"] == "unchanged"

    # The slip that the page warns of: a bare dot admits another domain, and nothing is sent.
    slip = (page.folder / "mappings/cluster.json").read_text().replace(r"(.*)@example\\.org", "(.*)@example.org")
    (page.folder / "mappings/cluster.json").write_text(slip)
    page.run_dag("map_identities", ends="failed")
    assert there() == [written]

"""Sharing: who may do what after each of the page's DAGs, and after the rules have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory
    from tests.docs.page import Page

DAY = 86400.0


def test_share_data(page: Page, globus_sandbox: GlobusSandbox, globus_collection: CollectionFactory) -> None:
    space = globus_collection("project space", files={"private.txt": "not shared"})
    world = globus_sandbox.world
    world.transfer.collections[space.id].policy["allow_guest_collections"] = True
    (gateway,) = world.connect_server.gateways.values()
    ada, ben, eve = (globus_sandbox.add_identity(f"{name}@example.org").id for name in ("ada", "ben", "eve"))
    team = globus_sandbox.add_group("Beamline 7 team", members=["ben@example.org"])
    page.replace("<UUID of the storage gateway>", gateway.id)
    page.replace("<UUID of the group>", team.id)

    page.run(until='DAG("share_results"')
    opened = page.results("open_the_results")["results"]
    assert (opened["action"], opened["display_name"]) == ("created", "Results of beamline 7")
    results = world.transfer.collections[opened["collection_id"]]
    assert (results.kind, results.public) == ("guest", False)
    assert page.run_dag("open_the_results").results["results"]["action"] == "unchanged"
    # The reader gives it the alias that the page says.
    results.alias = "results"
    assert globus_sandbox.on_connection_change
    globus_sandbox.on_connection_change()

    def may(identity: str, path: str) -> str:
        return world.transfer.permissions(identity, results, path)

    assert {may(person, "/scan_0042/a.h5") for person in (ada, ben, eve)} == {""}
    page.run(until='DAG("stop_sharing"')
    paths = ("/scan_0042/a.h5", "/inbox/b.h5", "/published/c.h5", "/d.h5")
    assert [may(ada, path) for path in paths] == ["r", "", "r", ""]
    assert [may(ben, path) for path in paths] == ["", "rw", "r", ""]
    assert [may(eve, path) for path in paths] == ["", "", "r", ""]
    (sent,) = (entry.body for entry in globus_sandbox.journal.requests("transfer", "POST") if _is_adas(entry.body, ada))
    assert (sent["notify_email"], sent["notify_message"][:18]) == ("ada@example.org", "Your scan is ready")
    ends = results.rules[page.results("share_results")["person"]["rule_id"]].expires
    assert ends is not None
    assert 89.9 < (ends - world.clock.time()) / DAY <= 90

    rules = set(results.rules)
    again = page.run_dag("share_results").results
    assert {rule["rule_id"] for rule in again.values()} == rules, "the same again is the same rules"
    # The end of the person's counts from the run.
    assert (again["group"]["action"], again["everybody"]["action"]) == ("unchanged", "unchanged")

    page.run()
    assert len(page.results("stop_sharing")["rules_of_person"]) == 1
    assert (may(ada, "/scan_0042/a.h5"), may(ben, "/inbox/b.h5")) == ("", "rw")
    assert page.run_dag("stop_sharing").results["rules_of_person"] == []

    page.run_dag("share_results", {"dataset": "scan_0043"})
    assert may(ada, "/scan_0043/a.h5") == "r"
    globus_sandbox.clock.advance(90 * DAY + 60)
    assert (may(ada, "/scan_0043/a.h5"), may(ben, "/inbox/b.h5")) == ("", "rw")


def _is_adas(body: object, ada: str) -> bool:
    return isinstance(body, dict) and body.get("principal") == ada

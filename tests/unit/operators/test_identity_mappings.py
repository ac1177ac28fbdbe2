"""Identity mappings proved, then sent, through the real SDK and the sandbox's Connect Server."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_globus.exceptions import (
    GlobusConfigError,
    GlobusInputError,
    GlobusJobStuckError,
    GlobusNotFoundError,
)
from airflow_provider_globus.operators.identity_mappings import GlobusUpdateIdentityMappingOperator
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.sandbox.transfer.state import ENDPOINT_ID

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.connect_server.models import StorageGateway
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder
    from tests.unit.conftest import TaskContext


def rules(*given: tuple[str, str]) -> dict[str, Any]:
    listed = [{"source": "{username}", "match": match, "output": output} for match, output in given]
    return {"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": listed}


ORG = rules((r"(.*)@example\.org", "{0}"))
PROGRAM = {"DATA_TYPE": "external_identity_mapping#1.0.0", "command": ["/opt/mapper", "--ldap"]}
EXPECTED = {"ada@example.org": "ada", "eve@example.com": None}


@pytest.fixture
def cluster(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("cluster", files={"result.dat": b"42"})


@pytest.fixture
def gateway(cluster: CollectionFolder, globus_sandbox: GlobusSandbox) -> StorageGateway:
    """The gateway under the collection, as it was before the test."""
    (found,) = globus_sandbox.world.connect_server.gateways.values()
    return found


def update(**changes: Any) -> GlobusUpdateIdentityMappingOperator:
    arguments = {
        "task_id": "map",
        "endpoint": ENDPOINT_ID,
        "storage_gateway": "cluster storage",
        "identity_mappings": ORG,
        "expected": EXPECTED,
    }
    return GlobusUpdateIdentityMappingOperator(**arguments | changes)


def there(globus: GlobusSandbox, gateway: StorageGateway) -> Any:
    return globus.world.connect_server.gateways[gateway.id].fields["identity_mappings"]


def patches(globus: GlobusSandbox) -> list[Any]:
    return [entry.body for entry in globus.journal.requests("connect_server") if entry.method == "PATCH"]


def test_changes_what_differs_and_nothing_the_second_time(
    globus_sandbox: GlobusSandbox, gateway: StorageGateway, context: TaskContext
) -> None:
    first = update().execute(context)
    assert first == {"storage_gateway_id": gateway.id, "action": "updated", "proved": 2}
    assert there(globus_sandbox, gateway) == [ORG]
    assert patches(globus_sandbox) == [{"DATA_TYPE": "storage_gateway#1.0.0", "identity_mappings": [ORG]}]
    again = update(storage_gateway=gateway.id).execute(context)
    assert again == {**first, "action": "unchanged"}
    assert len(patches(globus_sandbox)) == 1


def test_what_means_the_same_is_left(
    globus_sandbox: GlobusSandbox, gateway: StorageGateway, context: TaskContext
) -> None:
    update().execute(context)
    (rule,) = ORG["mappings"]
    spelt_out = {**ORG, "mappings": [{**rule, "ignore_case": False, "literal": False}]}
    assert update(identity_mappings=[spelt_out]).execute(context)["action"] == "unchanged"
    loose = {**ORG, "mappings": [{**rule, "ignore_case": True}]}
    assert update(identity_mappings=[loose]).execute(context)["action"] == "updated"
    assert there(globus_sandbox, gateway) == [loose]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expected": {"ada@example.org": "lovelace"}}, r"- ada@example.org: lovelace\n\+ ada@example.org: ada \("),
        ({"expected": {"eve@example.org": None}}, r"- eve@example.org: nobody\n\+ eve@example.org: eve \("),
        ({"expected": {"bob@example.com": "bob"}}, r"- bob@example.com: bob\n\+ bob@example.com: nobody"),
        ({"expected": {"ada@example.org": "x"}, "allow_unproved": True}, r"- ada@example.org: x\n"),
        ({"identity_mappings": rules(("(a", "{0}"))}, "! mapping 1, rule 1: match .* is no valid expression"),
        ({"identity_mappings": []}, "there is no mapping document"),
        ({"expected": {}}, "expected is empty"),
        ({"identity_mappings": "nowhere.json"}, "identity_mappings .*nowhere.json.* cannot be read"),
        ({"identity_mappings": ["nowhere.json"]}, r"identity_mappings\[0\] .*nowhere.json.* cannot be read"),
        ({"expected": "nowhere.yaml"}, "expected .*nowhere.yaml.* cannot be read"),
        ({"identity_mappings": [ORG, PROGRAM]}, "mapping 2 is the program /opt/mapper, which was not run"),
    ],
)
def test_is_refused_before_any_request(
    changes: dict[str, Any], message: str, globus_sandbox: GlobusSandbox, gateway: StorageGateway, context: TaskContext
) -> None:
    with pytest.raises(GlobusInputError, match=message) as error:
        update(**changes).execute(context)
    assert str(error.value).startswith("GlobusUpdateIdentityMappingOperator: ")
    assert globus_sandbox.journal.requests() == []
    assert there(globus_sandbox, gateway) is None


def test_without_the_library_nothing_is_sent(
    globus_sandbox: GlobusSandbox, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "globus_identity_mapping", None)
    with pytest.raises(GlobusConfigError, match=r"\[identity-mapping\]"):
        update().execute(context)
    assert globus_sandbox.journal.requests() == []


def test_what_cannot_be_proved_is_sent_if_allowed(
    globus_sandbox: GlobusSandbox, gateway: StorageGateway, context: TaskContext
) -> None:
    result = update(identity_mappings=[ORG, PROGRAM], allow_unproved=True).execute(context)
    assert (result["action"], result["proved"]) == ("updated", 0)
    assert there(globus_sandbox, gateway) == [ORG, PROGRAM]


def test_files_beside_the_dag_with_templates(
    globus_sandbox: GlobusSandbox, gateway: StorageGateway, context: TaskContext, tmp_path: Path
) -> None:
    (tmp_path / "staff.json").write_text(json.dumps(ORG).replace("example", "{{ params.domain }}"))
    (tmp_path / "guests.yaml").write_text(
        "- DATA_TYPE: expression_identity_mapping#1.0.0\n"
        "  mappings: [{source: '{username}', match: 'eve@guests\\.org', output: visitor}]\n"
    )
    (tmp_path / "table.yml").write_text("ada@{{ params.domain }}.org: ada\neve@guests.org: visitor\n")
    with DAG("mapping", schedule=None) as dag:
        operator = update(identity_mappings=["staff.json", "guests.yaml"], expected="table.yml")
    dag.fileloc = str(tmp_path / "mapping.py")
    context["params"] = {"domain": "institute"}
    assert operator.execute(context)["proved"] == 2
    staff, guests = there(globus_sandbox, gateway)
    assert staff["mappings"][0]["match"] == r"(.*)@institute\.org"
    assert guests["mappings"][0]["output"] == "visitor"


def test_arguments_are_templates(context: TaskContext) -> None:
    rows = [{"identity": "ada@{{ d }}", "local_user": "ada"}]
    operator = update(endpoint="{{ e }}", storage_gateway="{{ g }}", expected=rows)
    context.update(e="E", g="G", d="example.org")
    operator.render_template_fields(context)
    assert (operator.endpoint, operator.storage_gateway) == ("E", "G")
    assert operator.expected == [{"identity": "ada@example.org", "local_user": "ada"}]
    assert operator.identity_mappings == ORG


@pytest.mark.usefixtures("gateway")
def test_an_unknown_gateway_is_told_with_those_there_are(globus_sandbox: GlobusSandbox, context: TaskContext) -> None:
    with pytest.raises(GlobusNotFoundError, match=r"no storage gateway 'lake'.*cluster storage \("):
        update(storage_gateway="lake").execute(context)
    assert patches(globus_sandbox) == []


@pytest.mark.usefixtures("gateway")
def test_the_log_says_what_was_proved_what_changes_and_what_looks_wrong(
    context: TaskContext, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = rules(("(.*)", "all"))
    with caplog.at_level(logging.INFO):
        update().execute(context)
        update(identity_mappings=wide, expected={"ada@example.org": "all"}).execute(context)
    said = caplog.text + capsys.readouterr().out
    for text in (
        "Old: null",
        f"New: {json.dumps([ORG])}",
        f"Old: {json.dumps([ORG])}",
        f"New: {json.dumps([wide])}",
        "Proved: 1 identity would get exactly the local accounts expected.\n  ada@example.org: all (mapping 1, rule 1)",
        "mapping 1, rule 1: match '(.*)' matches people of any domain.",
    ):
        assert said.count(text) == 1, text


@pytest.mark.usefixtures("gateway")
def test_decides_who_may_read(
    globus_sandbox: GlobusSandbox,
    globus_collection: CollectionFactory,
    context: TaskContext,
) -> None:
    target = globus_collection("target")

    def fetch() -> Any:
        transfer = GlobusTransferOperator(
            task_id="fetch",
            source_collection="cluster",
            source_path="/result.dat",
            destination_collection="target",
            destination_path="/result.dat",
            poll_interval=0.05,
            stuck_grace=0,
        )
        return transfer.execute(type(context)())

    update().execute(context)
    with pytest.raises(GlobusJobStuckError, match=r"AUTH: .*does not map to a valid username"):
        fetch()
    assert not (target.folder / "result.dat").exists()

    robot = f"{globus_sandbox.client_id}@clients.auth.globus.org"
    mappings = [ORG, rules((robot.replace(".", r"\."), "pipeline"))]
    result = update(identity_mappings=mappings, expected={**EXPECTED, robot: "pipeline"}).execute(context)
    assert (result["action"], result["proved"]) == ("updated", 3)
    assert fetch()["status"] == "SUCCEEDED"
    assert (target.folder / "result.dat").read_bytes() == b"42"

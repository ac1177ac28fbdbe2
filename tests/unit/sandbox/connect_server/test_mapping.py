"""The sandbox's identity mapping: accounts by the gateway's documents, by default, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.sandbox.auth.models import Identity
from airflow_provider_globus.sandbox.connect_server.mapping import IdentityMapper
from airflow_provider_globus.sandbox.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

POSIX = "145812c8-decc-41f1-83cf-bb2a85a2a70b"
S3 = "7643e831-5f6c-4b47-a07f-8ee90f401d23"
GATEWAY = "d3b1a3f2-0000-4000-8000-000000000001"
ADA = Identity("a0a0a0a0-0000-4000-8000-000000000001", "ada@example.org", "Ada", "ada.l@mail.example.com").document()
BOB = Identity("a0a0a0a0-0000-4000-8000-000000000002", "bob@example.com").document()


def expression(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": list(rules)}


def rule(source: str, match: str, output: str, **more: Any) -> dict[str, Any]:
    return {"source": source, "match": match, "output": output, **more}


ORG = rule("{username}", r"(.*)@example\.org", "{0}")


def mapper(mappings: Any, connector: str = POSIX, domains: Sequence[str] = ()) -> IdentityMapper:
    return IdentityMapper(mappings, connector_id=connector, gateway_id=GATEWAY, allowed_domains=domains)


@pytest.mark.parametrize("mappings", [None, []])
def test_default_is_the_username_without_its_domain(mappings: Any) -> None:
    assert mapper(mappings).accounts(ADA) == ["ada"]


def test_default_of_connectors_with_qualified_accounts_keeps_the_domain() -> None:
    assert mapper(None, S3).accounts(ADA) == ["ada@example.org"]
    assert mapper(None, S3.upper()).accounts(ADA) == ["ada@example.org"]


def test_several_domains_have_no_default() -> None:
    assert mapper(None, domains=["example.org"]).accounts(ADA) == ["ada"]
    assert mapper(None, domains=["example.org", "example.com"]).accounts(ADA) == []


def test_documents_replace_the_default() -> None:
    gateway = mapper([expression(ORG)])
    assert gateway.accounts(ADA) == ["ada"]
    assert gateway.accounts(BOB) == []


def test_accounts_come_in_the_order_of_documents_and_rules_once_each() -> None:
    gateway = mapper(
        [
            expression(rule("{id}", ADA["id"], "beamline"), ORG),
            expression(ORG, rule("{email}", r"(.*)@mail\.example\.com", "{0}")),
        ]
    )
    assert gateway.accounts(ADA) == ["beamline", "ada", "ada.l"]


def test_a_property_the_identity_lacks_ends_its_document_only() -> None:
    by_mail = rule("{email}", r"(.*)@example\.com", "{0}")
    by_name = rule("{username}", r"(.*)@example\.com", "{0}")
    assert BOB["email"] is None
    assert mapper([expression(by_mail, by_name)]).accounts(BOB) == []
    assert mapper([expression(by_name, by_mail)]).accounts(BOB) == ["bob"]
    assert mapper([expression(by_mail), expression(by_name)]).accounts(BOB) == ["bob"]


def test_an_empty_account_is_none() -> None:
    assert mapper([expression(rule("{username}", r"(.*)ada@example\.org", "{0}"))]).accounts(ADA) == []


def test_external_programs_are_refused() -> None:
    gateway = mapper(
        [expression(ORG), {"DATA_TYPE": "external_identity_mapping#1.0.0", "command": ["/bin/sh", "-c", "exit 1"]}]
    )
    with pytest.raises(StorageError, match=r"AUTH: .* maps ada@example.org by an external program.*runs no programs"):
        gateway.accounts(ADA)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"DATA_TYPE": "expression_identity_mapping#2.0.0", "mappings": []}, "unsupported DATA_TYPE"),
        ({"mappings": []}, "unsupported DATA_TYPE None"),
        ("text", "unsupported DATA_TYPE None"),
        ({"DATA_TYPE": "expression_identity_mapping#1.0.0"}, "has no mappings"),
        (expression({"source": "{username}", "match": "a"}), "has no output"),
        (expression(rule("{username}", "(a", "b")), r"\(a"),
        (expression(rule("{username}", r"\da", "b")), r"Invalid \\ expression"),
        ({"DATA_TYPE": "external_identity_mapping#1.0.0"}, "command must be a list"),
    ],
)
def test_bad_documents_are_named(document: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"identity_mappings\[1\]: .*{reason}"):
        mapper([expression(ORG), document])


def test_an_identity_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from globus_identity_mapping.mappers.expression import ExpressionIdentityMapping

    calls: list[str] = []
    evaluate = ExpressionIdentityMapping.map_identity

    def counted(self: Any, identity: Any) -> str | None:
        calls.append(identity["username"])
        return evaluate(self, identity)

    monkeypatch.setattr(ExpressionIdentityMapping, "map_identity", counted)
    gateway = mapper([expression(ORG)])
    gateway.accounts(ADA).append("not remembered")
    assert gateway.accounts(dict(ADA)) == ["ada"]
    assert gateway.accounts(BOB) == []
    assert calls == ["ada@example.org", "bob@example.com"]

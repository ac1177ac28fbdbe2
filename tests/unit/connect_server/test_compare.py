"""What is wanted, compared with what is there: what counts as a difference, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_globus.connect_server.compare import changed, differences


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {"name": "a"}),
        ({"name": "a"}, {"name": "a", "id": "1"}),
        ({"domains": ["a", "b"]}, {"domains": ["b", "a"]}),
        ({"domains": ("a", "b")}, {"domains": ["a", "b"]}),
        ({"domains": []}, {}),
        ({"domains": []}, {"domains": None}),
        ({"mfa": False}, {}),
        ({"note": None}, {"note": ""}),
        ({"policies": {"DATA_TYPE": "p#1.0.0", "x": 1}}, {"policies": {"DATA_TYPE": "p#1.3.0", "x": 1, "y": 2}}),
        ({"paths": {"none": [], "read": []}}, {"paths": None}),
        (
            {"identity_mappings": [{"match": "a"}]},
            {"identity_mappings": [{"match": "a", "ignore_case": False, "DATA_TYPE": "m#1.0.0"}]},
        ),
    ],
)
def test_the_same(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    assert differences(wanted, found) == []
    assert changed(wanted, found) == {}


@pytest.mark.parametrize(
    ("wanted", "found", "field"),
    [
        ({"name": "a"}, {"name": "b"}, "name"),
        ({"name": "a"}, {}, "name"),
        ({"name": "a"}, None, "name"),
        ({"domains": ["a"]}, {"domains": ["a", "b"]}, "domains"),
        ({"domains": []}, {"domains": ["a"]}, "domains"),
        ({"minutes": 0}, {"minutes": None}, "minutes"),
        ({"mfa": True}, {"mfa": False}, "mfa"),
        ({"note": None}, {"note": "x"}, "note"),
        ({"policies": {"a": {"b": 1}}}, {"policies": {"a": {"b": 2}}}, "policies.a.b"),
        ({"paths": {"none": ["/x"], "read": []}}, {"paths": None}, "paths.none"),
        ({"command": ["a", "b"]}, {"command": ["b", "a"]}, "command"),
        ({"identity_mappings": [{"match": "a"}, {"match": "b"}]},
         {"identity_mappings": [{"match": "b"}, {"match": "a"}]}, "identity_mappings"),
        ({"identity_mappings": [{"match": "a"}]},
         {"identity_mappings": [{"match": "a"}, {"match": "b"}]}, "identity_mappings"),
        # A rule is replaced as a whole, so an option that is there and not wanted counts.
        ({"identity_mappings": [{"match": "a"}]},
         {"identity_mappings": [{"match": "a", "ignore_case": True}]}, "identity_mappings"),
        ({"environment": [{"name": "A", "value": "1"}]},
         {"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}, "environment"),
    ],
)  # fmt: skip
def test_not_the_same(wanted: dict[str, Any], found: dict[str, Any] | None, field: str) -> None:
    (difference,) = differences(wanted, found)
    assert difference.field == field
    top = field.partition(".")[0]
    assert changed(wanted, found) == {top: wanted[top]}


def test_secrets_are_hidden_at_any_depth() -> None:
    wanted: dict[str, Any] = {
        "policies": {"secret": "hush", "boxAppSettings": {"clientSecret": "hush"}},
        "s3_multi_keys": [{"path_prefixes": ["a"], "s3_secret_key": "hush"}],
    }
    found = {"policies": {"secret": "old-hush"}, "s3_multi_keys": []}
    listed = differences(wanted, found)
    assert [difference.field for difference in listed] == [
        "policies.secret",
        "policies.boxAppSettings",
        "s3_multi_keys",
    ]
    assert "hush" not in str([(str(difference), difference.as_dict()) for difference in listed])

"""Identities and mapping documents for tests."""

from __future__ import annotations

from typing import Any

ADA: dict[str, Any] = {
    "id": "a0a0a0a0-0000-4000-8000-000000000001",
    "username": "ada@example.org",
    "name": "Ada",
    "email": "ada.l@mail.example.com",
    "organization": None,
    "status": "used",
    "identity_provider": "b1b1b1b1-0000-4000-8000-000000000001",
    "identity_type": "login",
}
ROBOT: dict[str, Any] = {
    **ADA,
    "id": "a0a0a0a0-0000-4000-8000-000000000002",
    "username": "robot@clients.example.org",
    "email": None,
}


def rule(source: str, match: str, output: str, **more: Any) -> dict[str, Any]:
    return {"source": source, "match": match, "output": output, **more}


def rules(*given: Any) -> dict[str, Any]:
    return {"DATA_TYPE": "expression_identity_mapping#1.0.0", "mappings": list(given)}


def program(*command: str) -> dict[str, Any]:
    return {"DATA_TYPE": "external_identity_mapping#1.0.0", "command": list(command)}


ORG = rule("{username}", r"(.*)@example\.org", "{0}")
BY_MAIL = rule("{email}", r"(.*)@mail\.example\.com", "{0}")
SHARED = rule("{id}", ADA["id"], "beamline")

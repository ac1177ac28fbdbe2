"""Calls from service to service: the same handlers, checks and refusals as over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.internal import call
from airflow_provider_globus.sandbox.search.routes import SERVICE as SEARCH
from airflow_provider_globus.sandbox.transfer.routes import SERVICE as TRANSFER
from airflow_provider_globus.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_a_handler_answers_for_the_caller(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    collection = world.transfer.add_collection("mine", tmp_path, kind="personal")
    path, query = f"/v0.10/operation/endpoint/{collection.id}/ls", {"path": "/", "filter": None}
    listing = call(world, TRANSFER, "GET", path, world.auth.anyone(), query=query)
    assert [entry["name"] for entry in listing["DATA"]] == ["a.txt"]


def test_what_is_sent_reaches_the_handler(world: World) -> None:
    made = call(world, SEARCH, "POST", "/v1/index", world.auth.anyone(), json={"display_name": "made"})
    assert world.search.indexes[made["id"]].display_name == "made"


def test_a_refusal_is_that_of_the_service(world: World, tmp_path: Path) -> None:
    owner = world.auth.add_identity("ada@example.edu")
    collection = world.transfer.add_collection("hers", tmp_path, kind="personal", owner=owner.id)
    path = f"/v0.10/operation/endpoint/{collection.id}/ls"
    with pytest.raises(ServiceError) as raised:
        call(world, TRANSFER, "GET", path, world.auth.anyone(), query={"path": "/"})
    assert (raised.value.status, raised.value.code) == (403, "PermissionDenied")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v0.10/nowhere"), ("DELETE", "/v0.10/submission_id")])
def test_a_route_that_is_none_is_a_mistake_of_the_sandbox(world: World, method: str, path: str) -> None:
    with pytest.raises(ValueError, match=f"transfer has no route {method} {path}"):
        call(world, TRANSFER, method, path, world.auth.anyone())

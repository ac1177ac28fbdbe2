"""Functions: registered, looked at, deleted, and who may use whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def one() -> int:
    return 1


def test_a_function_is_shown_as_it_was_registered(lab: Any) -> None:
    function_id = lab.register("howdy", function_code="410\n04\n:gASV", description="Says hello.")
    assert lab.v2.get_function(function_id).data == {
        "function_uuid": function_id,
        "function_name": "howdy",
        "function_code": "410\n04\n:gASV",
        "description": "Says hello.",
        "metadata": {"python_version": "3.12.6", "sdk_version": "4.19.0"},
    }


def test_version_two_of_the_api_registers_too(lab: Any) -> None:
    document = {"function_name": "f", "function_code": "code", "metadata": {"python_version": "3.9.1"}}
    function_id = lab.v2.register_function(document)["function_uuid"]
    shown = lab.v2.get_function(function_id)
    assert (shown["metadata"], shown["description"]) == ({"python_version": "3.9.1"}, "")


def test_a_deleted_function_is_gone_but_not_for_tasks_that_call_it(lab: Any, refused: Any) -> None:
    endpoint = lab.endpoint(online=False)
    function_id = lab.register(one)
    (task_id,) = lab.submit(endpoint, function_id)
    assert lab.v2.delete_function(function_id).data == {"result": 302}
    for act in (
        lambda: lab.v2.get_function(function_id),
        lambda: lab.v2.delete_function(function_id),
        lambda: lab.submit(endpoint, function_id),
    ):
        error = refused(act)
        assert (error["http_status_code"], error["code"], error["error_args"]) == (
            404,
            "FUNCTION_NOT_FOUND",
            [function_id],
        )
        assert error["reason"] == f"Function {function_id} could not be resolved"
    endpoint.go_online()
    assert lab.value(lab.wait(task_id)) == 1


def test_a_function_of_another_is_forbidden_unless_it_is_public(lab: Any, refused: Any) -> None:
    other = lab.sandbox.add_client("other")
    endpoint = lab.endpoint()
    theirs, public = lab.register(one, of=other), lab.register(one, of=other, public=True)
    for act in (lambda: lab.v2.get_function(theirs), lambda: lab.submit(endpoint, theirs)):
        error = refused(act)
        assert (error["http_status_code"], error["code"], error["error_args"]) == (
            403,
            "FUNCTION_ACCESS_FORBIDDEN",
            [theirs],
        )
        assert error["reason"] == f"Unauthorized access to function {theirs}"
    assert lab.v2.get_function(public)["function_name"] == "one"
    assert lab.value(lab.wait(lab.submit(endpoint, public)[0])) == 1
    assert refused(lambda: lab.v2.delete_function(public))["code"] == "FUNCTION_ACCESS_FORBIDDEN"


def test_members_of_a_group_may_use_what_is_shared_with_it(lab: Any, refused: Any) -> None:
    other, group = lab.sandbox.add_client("other"), lab.sandbox.world.new_id()
    shared = lab.register(one, of=other, group=group)
    assert refused(lambda: lab.v2.get_function(shared))["code"] == "FUNCTION_ACCESS_FORBIDDEN"
    lab.sandbox.add_group("friends", id=group)
    assert lab.v2.get_function(shared)["function_uuid"] == shared


@pytest.mark.parametrize(
    ("document", "finding"),
    [
        ({"function_code": "x"}, "function_name: field required"),
        ({"function_name": "x"}, "function_code: field required"),
        ({"function_name": "x", "function_code": 7}, "function_code: str type expected"),
        ({"function_name": "", "function_code": "x"}, "function_name: ensure this value has at least 1 characters"),
        ({"function_name": "x", "function_code": "x", "group": "friends"}, "group: value is not a valid uuid"),
    ],
)
def test_what_cannot_be_registered(lab: Any, refused: Any, document: dict[str, Any], finding: str) -> None:
    error = refused(lambda: lab.v3.register_function(document))
    assert (error["http_status_code"], error["code"]) == (422, "SEMANTICALLY_INVALID")
    assert error["detail"] == [f"body.{finding}"]


def test_high_assurance_is_not_served(lab: Any, refused: Any) -> None:
    error = refused(lambda: lab.register(one, ha_endpoint_id=lab.sandbox.world.new_id()))
    assert error["http_status_code"] == 501
    assert "ha_endpoint_id" in error["reason"]


@pytest.mark.parametrize("act", ["get_function", "delete_function"])
def test_an_id_must_be_one(lab: Any, refused: Callable[..., dict[str, Any]], act: str) -> None:
    assert refused(lambda: getattr(lab.v2, act)("seven"))["detail"] == ["path.function_uuid: value is not a valid uuid"]

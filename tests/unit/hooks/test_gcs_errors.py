"""What Globus Connect Server gives as a reason, in words, with the cure that fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusAuthError,
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusConsentRequiredError,
    GlobusError,
    GlobusNotFoundError,
    GlobusPermissionError,
)
from airflow_provider_globus.hooks.gcs_errors import refusal
from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

TRANSFER = "urn:globus:auth:scope:transfer.api.globus.org:all"


def answer(globus: GlobusSandbox, status: int, body: dict[str, Any]) -> GlobusError:
    """Our error when a service answers so."""
    hook = GlobusHook()
    client = hook.transfer_client(polling=True)
    globus.faults.add({"service": "transfer", "status": status, "body": json.dumps(body)})
    with pytest.raises(GlobusError) as caught:
        hook.call("creating a gateway", client.task_list)
    return caught.value


def result(status: int, code: str, detail: Any, message: str = "It was refused", **more: Any) -> dict[str, Any]:
    """An error in the shape of the GCS Manager."""
    shape = {"DATA_TYPE": "result#1.0.0", "code": code, "detail": detail, "has_next_page": False}
    return {**shape, "http_response_code": status, "message": message, **more}


DETAILS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"DATA_TYPE": "not_from_allowed_domain#1.0.0", "allowed_domains": ["a.org", "b.org"]},
        "allowed domains are a.org, b.org",
        "clients.auth.globus.org",
    ),
    (
        {"DATA_TYPE": "missing_required_role#1.0.0", "roles": [{"role": "administrator"}]},
        "the role administrator of the endpoint",
        "GlobusCreateCollectionRoleOperator",
    ),
    (
        {"DATA_TYPE": "missing_required_role#1.0.0", "roles": [{"role": "access_manager", "collection": "c-1"}]},
        "the role access_manager of the collection c-1",
        "administrator",
    ),
    (
        {"DATA_TYPE": "invalid_credential#1.0.0", "user_credential_id": "u-1"},
        "the user credential u-1 is not valid",
        "rotate=True",
    ),
    (
        {"DATA_TYPE": "credential_not_found#1.0.0", "accounts": [{"username": "ada", "storage_gateway_id": "g-1"}]},
        "no credential is registered for the account ada on the storage gateway g-1",
        "GlobusCreateUserCredentialOperator",
    ),
    (
        {
            "DATA_TYPE": "invalid_input#1.0.0",
            "errors": [{"property": "policies.s3_endpoint", "message": "Not a URL"}, {"message": "Odd"}],
        },
        "policies.s3_endpoint: Not a URL; Odd",
        "nothing was changed",
    ),
    ({"DATA_TYPE": "resource_conflict#1.0.0", "resources": ["c-1"]}, "in conflict with c-1", "another name"),
    ({"DATA_TYPE": "invalid_user#1.0.0", "usernames": ["ada"]}, "mapped to ada", "identity mapping"),
    ({"DATA_TYPE": "subscription_required#1.0.0", "add_ons": ["ha"]}, "the add-ons ha", "subscription manager"),
    ({"DATA_TYPE": "collection_not_found#1.0.0", "collection_id": "c-1"}, "collection c-1 no longer", "anew"),
    ({"DATA_TYPE": "storage_gateway_not_found#1.0.0", "storage_gateway_id": "g-1"}, "g-1 no longer", "anew"),
    ({"DATA_TYPE": "not_resource_owner#1.0.0", "id": "i-1"}, "owner is the identity i-1", "owner"),
    ({"DATA_TYPE": "id_not_in_identity_set#1.0.0", "id": "i-1"}, "identity i-1 is not one", "login holds"),
    ({"DATA_TYPE": "limit_exceeded#1.0.0"}, "a limit", "not needed"),
]


@pytest.mark.parametrize(("detail", "words", "cure"), DETAILS, ids=[d[0]["DATA_TYPE"] for d in DETAILS])
def test_a_typed_detail_is_told_in_words_with_its_cure(detail: dict[str, Any], words: str, cure: str) -> None:
    refused = refusal(result(403, "permission_denied", detail))
    assert refused is not None
    assert refused.said == f"It was refused: {refused.said.removeprefix('It was refused: ')}"
    assert words in refused.said
    assert cure in refused.advice


def test_a_detail_of_a_kind_to_come_is_shown_as_it_is() -> None:
    refused = refusal(result(403, "permission_denied", {"DATA_TYPE": "moon_phase#2.0.0", "phase": "new"}))
    assert refused is not None
    assert 'moon phase ({"phase": "new"})' in refused.said


def test_a_detail_of_words_follows_the_message_and_none_leaves_it_alone() -> None:
    worded, bare = refusal(result(422, "unprocessable_entity", "Too long")), refusal(result(404, "not_found", None))
    assert worded is not None
    assert bare is not None
    assert worded.said == "It was refused: Too long"
    assert bare.said == "It was refused"


def test_long_lists_are_cut() -> None:
    errors = [{"property": f"p{n}", "message": "bad"} for n in range(9)]
    refused = refusal(result(422, "unprocessable_entity", {"DATA_TYPE": "invalid_input#1.0.0", "errors": errors}))
    assert refused is not None
    assert "p4: bad; and 4 more" in refused.said
    assert "p5" not in refused.said


def test_answers_of_other_services_are_none_of_it() -> None:
    assert refusal({"code": "ClientError.NotFound", "message": "No such task"}) is None
    assert refusal({"code": "X", "message": "530-GridFTP-JSON-Result: {broken"}) is None
    assert refusal({}) is None


@pytest.mark.parametrize(
    ("status", "code", "detail", "cls"),
    [
        (401, "not_authorized", None, GlobusAuthError),
        (403, "permission_denied", None, GlobusPermissionError),
        (404, "not_found", None, GlobusNotFoundError),
        (409, "conflict", None, GlobusConflictError),
        (409, "exists", None, GlobusConflictError),
        (422, "unprocessable_entity", {"DATA_TYPE": "invalid_input#1.0.0", "errors": []}, GlobusBadRequestError),
        (400, "bad_request", None, GlobusBadRequestError),
    ],
)
def test_each_code_of_the_gcs_manager_is_an_error_of_its_own(
    status: int, code: str, detail: Any, cls: type[GlobusError], globus_sandbox: GlobusSandbox
) -> None:
    error = answer(globus_sandbox, status, result(status, code, detail))
    assert type(error) is cls
    for said in ("creating a gateway", "It was refused", code, str(status)):
        assert said in error.message
    assert error.advice


def test_missing_scopes_are_a_consent_that_can_be_cured(globus_sandbox: GlobusSandbox) -> None:
    detail = {"DATA_TYPE": "missing_required_scopes#1.0.0", "required_scopes": [TRANSFER]}
    error = answer(globus_sandbox, 401, result(401, "not_authorized", detail))
    assert isinstance(error, GlobusConsentRequiredError)
    assert error.required_scopes == [TRANSFER]
    assert TRANSFER in error.message


def test_a_login_that_is_too_old_is_no_mere_lack_of_permission(globus_sandbox: GlobusSandbox) -> None:
    detail = {"DATA_TYPE": "authentication_timeout#1.1.0", "high_assurance": True, "require_mfa": True}
    error = answer(globus_sandbox, 403, result(403, "permission_denied", detail))
    assert isinstance(error, GlobusConsentRequiredError)
    assert "multi-factor authentication in this very session" in error.message
    assert "service account cannot" in error.advice


LOGIN = (
    "Command Failed: Error (login)\nEndpoint: Lab (c-1)\nServer: 192.0.2.1:443\nMessage: Login Failed\n---\nDetails: "
    "530-Login incorrect. : GlobusError: v=1 c=LOGIN_DENIED{eol}530-GridFTP-Message: Not you{eol}"
    "530-GridFTP-JSON-Result: {result}{eol}530 End.{eol}"
)


@pytest.mark.parametrize("eol", ["\r\n", "\n", "\\r\\n"])
@pytest.mark.parametrize("indent", [None, 1])
def test_the_reason_of_a_failed_login_is_unpacked(eol: str, indent: int | None, globus_sandbox: GlobusSandbox) -> None:
    detail = {"DATA_TYPE": "not_from_allowed_domain#1.0.0", "allowed_domains": ["lab.example.org"]}
    document = json.dumps(result(403, "permission_denied", detail, "None of your identities fits"), indent=indent)
    message = LOGIN.replace("{eol}", eol).replace("{result}", document)
    body = {"code": "ExternalError.DirListingFailed.LoginFailed", "message": message, "request_id": "r1"}
    error = answer(globus_sandbox, 502, body)
    assert type(error) is GlobusPermissionError
    assert "None of your identities fits: allowed domains are lab.example.org" in error.message
    assert "GridFTP" not in error.message
    assert "ExternalError.DirListingFailed.LoginFailed, request r1" in error.message
    assert "allowed_domains" in error.advice


def test_a_failed_login_that_wants_another_session_says_so(globus_sandbox: GlobusSandbox) -> None:
    wanted = {"session_required_single_domain": ["lab.example.org"]}
    document = result(403, "permission_denied", None, authorization_parameters=wanted)
    message = LOGIN.replace("{eol}", "\r\n").replace("{result}", json.dumps(document))
    error = answer(globus_sandbox, 502, {"code": "ExternalError.DirListingFailed.LoginFailed", "message": message})
    assert isinstance(error, GlobusConsentRequiredError)
    assert "lab.example.org" in error.advice


def test_a_failed_login_without_a_reason_is_told_as_it_is(globus_sandbox: GlobusSandbox) -> None:
    body = {"code": "ExternalError.DirListingFailed.LoginFailed", "message": "Login Failed\n530-Login incorrect."}
    error = answer(globus_sandbox, 502, body)
    assert type(error) is GlobusPermissionError
    assert "530-Login incorrect" in error.message

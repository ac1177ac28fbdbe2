"""What Globus answers, in our words: what happened, its code, what to do; never the body."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusBadRequestError,
    GlobusConflictError,
    GlobusConsentRequiredError,
    GlobusError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusTaskLimitError,
    GlobusUnavailableError,
    is_transient,
)
from airflow_provider_globus.hooks.globus import GlobusHook

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox


def answer(globus: GlobusSandbox, status: int, body: dict[str, Any]) -> GlobusError:
    """Our error when Transfer answers so."""
    hook = GlobusHook()
    client = hook.transfer_client(polling=True)
    globus.faults.add({"service": "transfer", "status": status, "body": json.dumps(body)})
    with pytest.raises(GlobusError) as caught:
        hook.call("listing /data", client.task_list)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (400, "BadRequest", GlobusBadRequestError),
        (403, "PermissionDenied", GlobusPermissionError),
        (404, "ClientError.NotFound", GlobusNotFoundError),
        (409, "Conflict", GlobusConflictError),
        (409, "ClientError.Conflict.TooManyPendingJobs", GlobusTaskLimitError),
        (502, "ExternalError.DirListingFailed.PermissionDenied", GlobusPermissionError),
        (502, "ExternalError.DirListingFailed.NotDirectory", GlobusBadRequestError),
        (502, "ExternalError.DirListingFailed.ConnectFailed", GlobusUnavailableError),
        (502, "ExternalError.DirListingFailed.GCDisconnected", GlobusUnavailableError),
        (502, "ExternalError.MkdirFailed.Exists", GlobusConflictError),
        (503, "ServiceUnavailable", GlobusUnavailableError),
    ],
)
def test_each_kind_is_an_error_of_its_own(
    status: int, code: str, cls: type[GlobusError], globus_sandbox: GlobusSandbox
) -> None:
    error = answer(globus_sandbox, status, {"code": code, "message": "So it is", "request_id": "r1r1r1r1r"})
    assert type(error) is cls
    for said in ("listing /data", "So it is", code, "r1r1r1r1r"):
        assert said in str(error)
    assert error.advice or cls in (GlobusBadRequestError, GlobusConflictError)


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ({"session_required_mfa": True}, "multi-factor"),
        ({"session_required_single_domain": ["lab.example.org"]}, "lab.example.org"),
        ({"session_required_identities": ["ada@example.org"]}, "ada@example.org"),
        ({"session_required_policies": ["p"]}, "policy"),
    ],
)
def test_what_a_service_account_cannot_cure_is_explained(
    wanted: dict[str, Any], hint: str, globus_sandbox: GlobusSandbox
) -> None:
    body = {"code": "PermissionDenied", "message": "Not in this session", "authorization_parameters": wanted}
    error = answer(globus_sandbox, 403, body)
    assert isinstance(error, GlobusConsentRequiredError)
    assert hint in error.advice


def test_what_search_finds_wrong_is_said(globus_sandbox: GlobusSandbox) -> None:
    index = globus_sandbox.add_search_index("catalogue")
    client = GlobusHook().search_client(polling=True)
    entries = [{"subject": "s", "content": {}}, {}]
    document: dict[str, Any] = {"ingest_type": "GMetaList", "ingest_data": {"gmeta": entries}}
    with pytest.raises(GlobusBadRequestError) as raised:
        GlobusHook().call("putting records", client.ingest, index.id, document)
    assert "ingest_data.gmeta.0.visible_to: Missing data for required field" in str(raised.value)
    assert raised.value.code == "BadRequest.ValidationError"


def test_the_body_is_not_shown_even_in_a_traceback(globus_sandbox: GlobusSandbox) -> None:
    error = answer(globus_sandbox, 403, {"code": "PermissionDenied", "message": "No", "extra": "body-only-text"})
    assert "body-only-text" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("status", "number", "name", "cls", "advice"),
    [
        (404, 4, "ENDPOINT_NOT_FOUND", GlobusNotFoundError, "globus-compute-endpoint list"),
        (403, 9, "ENDPOINT_ACCESS_FORBIDDEN", GlobusPermissionError, "endpoint's owner"),
        (404, 3, "FUNCTION_NOT_FOUND", GlobusNotFoundError, "function_id"),
        (403, 8, "FUNCTION_ACCESS_FORBIDDEN", GlobusPermissionError, "not shared"),
        (403, 10, "FUNCTION_NOT_PERMITTED", GlobusPermissionError, "allowed_functions"),
        (404, 20, "TASK_GROUP_NOT_FOUND", GlobusNotFoundError, "Check the id"),
        (400, 17, "REQUEST_MALFORMED", GlobusBadRequestError, ""),
        (500, 18, "INTERNAL_ERROR", GlobusUnavailableError, "usually passes"),
        (413, 0, None, GlobusBadRequestError, ""),
    ],
)
def test_compute_has_numbered_its_errors(
    status: int, number: int, name: str | None, cls: type[GlobusError], advice: str, globus_sandbox: GlobusSandbox
) -> None:
    body = {"status": "Failed", "code": number, "http_status_code": status, "reason": "So it is", "error_args": []}
    hook = GlobusHook()
    globus_sandbox.faults.add({"service": "compute", "status": status, "body": json.dumps(body)})
    with pytest.raises(GlobusError, match="So it is") as error:
        hook.call("submitting", hook.compute_client_v2(polling=True).get_version)
    assert type(error.value) is cls
    assert getattr(error.value, "code", "") == name
    assert advice in error.value.advice


def test_what_compute_says_today(globus_sandbox: GlobusSandbox, tmp_path: Path) -> None:
    hook, endpoint = GlobusHook(), globus_sandbox.add_compute_endpoint("hpc", folder=tmp_path)
    missing = globus_sandbox.world.new_id()
    with pytest.raises(GlobusNotFoundError, match=f"Endpoint {missing} could not be resolved") as not_found:
        hook.call("looking", hook.compute_client_v2(polling=True).get_endpoint, missing)
    assert not_found.value.code == "ENDPOINT_NOT_FOUND"
    with pytest.raises(GlobusBadRequestError, match=r"path\.endpoint_uuid: value is not a valid uuid"):
        hook.call("looking", hook.compute_client_v2(polling=True).get_endpoint, "seven")
    with pytest.raises(GlobusBadRequestError, match=r"body\.tasks: field required") as invalid:
        hook.call("submitting", hook.compute_client_v3().submit, endpoint.id, {})
    assert invalid.value.code == "SEMANTICALLY_INVALID"


def test_what_a_manager_has_paused_is_worth_another_try(globus_sandbox: GlobusSandbox, tmp_path: Path) -> None:
    collection = globus_sandbox.add_collection("busy", tmp_path)
    hook = GlobusHook()
    client = hook.transfer_client()
    rule = {
        "DATA_TYPE": "pause_rule",
        "endpoint_id": hook.use_collection(collection.id),
        "message": "Until noon.",
        "pause_ls": True,
    }
    hook.call("pausing", client.endpoint_manager_create_pause_rule, rule)
    with pytest.raises(GlobusUnavailableError, match=r"Until noon.*A manager of the collection has paused") as error:
        hook.call("listing", client.operation_ls, collection.id, path="/")
    assert is_transient(error.value)

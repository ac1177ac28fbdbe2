"""Small files over HTTPS, with the SDK's client in the sandbox over TLS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_globus.exceptions import (
    GlobusAuthError,
    GlobusBadRequestError,
    GlobusConfigError,
    GlobusConsentRequiredError,
    GlobusError,
    GlobusInputError,
    GlobusNotFoundError,
    GlobusPermissionError,
    GlobusUnavailableError,
    is_transient,
)
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.hooks.https import CollectionFiles, https_scopes
from airflow_provider_globus.hooks.https_errors import is_server_fault

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.pytest_plugin import CollectionFactory, CollectionFolder

ILL = "Mapping collection to specified ID failed.\nGlobusError: v=1 c=ENDPOINT_ERROR\nGCS Manager Internal Error\n"
GONE = "GlobusError: v=1 c=PATH_NOT_FOUND\nGridFTP-Errno: 2\nGridFTP-Error-String: No such file or directory\n"


@pytest.fixture
def lab(globus_collection: CollectionFactory) -> CollectionFolder:
    return globus_collection("lab", files={"a.txt": "text", "run 1/ü?#%41.txt": "odd", "empty": ""})


@pytest.fixture
def files(lab: CollectionFolder) -> CollectionFiles:
    return CollectionFiles(GlobusHook(), "lab")


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries again at once."""
    monkeypatch.setattr("globus_sdk.transport.RequestsTransport._retry_sleep", lambda *_: None)


def test_the_client_is_the_sdks_own_and_kept(lab: CollectionFolder) -> None:
    hook = GlobusHook()
    client = hook.https_client("lab")
    assert client.collection_id == lab.id
    assert client.get("/a.txt").text == "text"
    assert hook.https_client(lab.id) is client


@pytest.mark.parametrize(
    ("kind", "high_assurance", "names"),
    [
        ("GCSv5_mapped_collection", False, ["https", "data_access"]),
        ("GCSv5_mapped_collection", True, ["https"]),
        ("GCSv5_guest_collection", False, ["https"]),
    ],
)
def test_scopes(kind: str, high_assurance: bool, names: list[str]) -> None:
    collection_id = "5a4db0c5-0000-4000-8000-0000000000e0"
    document = {"id": collection_id, "entity_type": kind, "high_assurance": high_assurance}
    at = f"https://auth.globus.org/scopes/{collection_id}"
    assert [str(scope) for scope in https_scopes(document)] == [f"{at}/{name}" for name in names]


def test_reading(files: CollectionFiles) -> None:
    assert files.read("/a.txt") == b"text"
    assert files.read("/run 1/ü?#%41.txt") == b"odd"
    assert files.read("/empty") == b""
    assert files.size("/a.txt") == 4
    assert files.size("/none") is None


def test_one_byte_more_than_allowed(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    assert files.read("/a.txt", max_bytes=4) == b"text"
    reads = globus_sandbox.journal.count("https", "GET")
    with pytest.raises(GlobusInputError, match="4 bytes"):
        files.read("/a.txt", max_bytes=3)
    assert globus_sandbox.journal.count("https", "GET") == reads


def test_no_more_is_sent_than_allowed_when_the_size_is_unknown(
    files: CollectionFiles, globus_sandbox: GlobusSandbox
) -> None:
    globus_sandbox.faults.add(service="https", method="HEAD", status=404, body=" ", times=1)
    with pytest.raises(GlobusInputError, match="3 bytes or more"):
        files.read("/a.txt", max_bytes=2)


def test_a_missing_file(files: CollectionFiles) -> None:
    with pytest.raises(GlobusNotFoundError, match=r"/none on 'lab'.*PATH_NOT_FOUND") as error:
        files.read("/none")
    assert error.value.code == "PATH_NOT_FOUND"
    assert error.value.request_id
    assert files.read_if_there("/none") is None
    assert files.read_if_there("/a.txt") == b"text"


@pytest.mark.usefixtures("no_pause")
def test_an_ill_server_is_asked_again(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(service="https", method="GET", status=404, body=ILL, times=2)
    assert files.read_if_there("/a.txt") == b"text"
    assert globus_sandbox.journal.count("https", "GET") == 3


@pytest.mark.usefixtures("no_pause")
def test_a_server_that_stays_ill_tells_nothing_about_the_file(
    files: CollectionFiles, globus_sandbox: GlobusSandbox
) -> None:
    globus_sandbox.faults.add(service="https", method="GET", status=404, body=ILL)
    with pytest.raises(GlobusUnavailableError, match="no sign that a file is missing") as error:
        files.read_if_there("/a.txt")
    assert is_transient(error.value)
    globus_sandbox.faults.clear()
    globus_sandbox.faults.add(service="https", method="DELETE", status=404, body=ILL)
    with pytest.raises(GlobusUnavailableError):
        files.delete("/a.txt")


def test_a_404_without_the_servers_words_is_not_taken_for_a_miss(
    files: CollectionFiles, globus_sandbox: GlobusSandbox
) -> None:
    globus_sandbox.faults.add(service="https", status=404, body="<html>nothing here</html>")
    for act in (files.read_if_there, files.delete, lambda path: files.holds(path, b"")):
        with pytest.raises(GlobusNotFoundError):
            act("/a.txt")


@pytest.mark.parametrize(
    ("status", "text", "fault"),
    [(404, ILL, True), (404, GONE, False), (404, ILL + GONE, False), (404, "", False), (403, ILL, False)],
)
def test_what_is_a_fault_of_the_server(status: int, text: str, fault: bool) -> None:
    assert is_server_fault(status, text) is fault


def test_other_connections_for_other_tries(files: CollectionFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    client = files._client
    sent: list[dict[str, Any]] = []
    request = client.request

    def noted(*args: Any, **more: Any) -> Any:
        sent.append(more["headers"])
        return request(*args, **more)

    monkeypatch.setattr(client, "request", noted)
    files.read("/a.txt")
    assert [headers["Connection"] for headers in sent] == ["close", "close"]


def test_writing(files: CollectionFiles, lab: CollectionFolder) -> None:
    for content in (b"\x00\xff", b"other", b""):
        files.write("/new.bin", content)
        assert (lab.folder / "new.bin").read_bytes() == content


def test_writing_makes_directories(files: CollectionFiles, lab: CollectionFolder) -> None:
    with pytest.raises(GlobusNotFoundError):
        files.write("/x/y/z", b"1", parents=False)
    files.write("/x/y/z", b"1")
    assert (lab.folder / "x/y/z").read_bytes() == b"1"
    files.write("/x/w/z", b"2")
    assert (lab.folder / "x/w/z").read_bytes() == b"2"


def test_no_directory_is_made_for_a_404_of_another_kind(
    files: CollectionFiles, lab: CollectionFolder, globus_sandbox: GlobusSandbox
) -> None:
    globus_sandbox.faults.add(service="https", method="PUT", status=404, body="<html>nothing here</html>")
    with pytest.raises(GlobusNotFoundError):
        files.write("/x/y/z", b"1")
    assert not (lab.folder / "x").exists()


def test_a_write_that_broke_off_is_noticed(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(service="https", method="PUT", status=200, body="", times=1)
    with pytest.raises(GlobusUnavailableError, match="4 bytes after 9 were written"):
        files.write("/a.txt", b"much more")


@pytest.mark.parametrize(("content", "answer"), [(b"text", True), (b"TEXT", False), (b"longer", False)])
def test_comparing(files: CollectionFiles, content: bytes, answer: bool) -> None:
    assert files.holds("/a.txt", content) is answer


def test_comparing_with_what_is_not_there_or_empty(files: CollectionFiles) -> None:
    assert files.holds("/none", b"") is None
    assert files.holds("/empty", b"") is True


def test_another_size_is_not_read(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    files.holds("/a.txt", b"longer")
    assert globus_sandbox.journal.count("https", "GET") == 0


def test_deleting(files: CollectionFiles, lab: CollectionFolder) -> None:
    assert files.delete("/a.txt") is True
    assert not (lab.folder / "a.txt").exists()
    assert files.delete("/a.txt") is False


def test_a_directory(files: CollectionFiles) -> None:
    for act in (files.read, files.delete, lambda path: files.write(path, b"x")):
        with pytest.raises(GlobusBadRequestError, match="path of a file"):
            act("/run 1")


# What there is not, and who may not


def test_a_personal_collection_has_no_https(globus_collection: CollectionFactory) -> None:
    globus_collection("laptop", kind="personal")
    with pytest.raises(GlobusInputError, match=r"'laptop' has no HTTPS access\. Move the file with GlobusTransferOp"):
        GlobusHook().https_client("laptop")


def test_a_collection_without_https(globus_collection: CollectionFactory, globus_sandbox: GlobusSandbox) -> None:
    found = globus_sandbox.world.transfer.find(globus_collection("lab").id)
    found.policy["enable_https"] = False
    with pytest.raises(GlobusInputError, match=r"enable HTTPS on it \(enable_https\), or move the file with Globus"):
        GlobusHook().https_client("lab")


def test_an_endpoint_is_no_collection(globus_collection: CollectionFactory, globus_sandbox: GlobusSandbox) -> None:
    globus_collection("lab")
    with pytest.raises(GlobusInputError, match="not a collection"):
        GlobusHook().https_client(globus_sandbox.world.transfer.endpoint.id)


def test_an_identity_that_may_not(globus_collection: CollectionFactory, globus_sandbox: GlobusSandbox) -> None:
    ada = globus_sandbox.add_identity("ada@example.org")
    host = globus_collection("lab", files={"a.txt": "text"})
    globus_collection("shared", host=host, owner=ada.id)
    with pytest.raises(GlobusPermissionError, match="access rule"):
        CollectionFiles(GlobusHook(), "shared").read("/a.txt")


@pytest.mark.parametrize(("scope", "known"), [("https data_access", True), ("transfer", False)])
def test_a_person(
    lab: CollectionFolder, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, scope: str, known: bool
) -> None:
    ada = globus_sandbox.add_identity("ada@example.org")
    at = f"https://auth.globus.org/scopes/{lab.id}"
    tokens = [
        globus_sandbox.world.auth.add_refresh_token(ada.id, "urn:globus:auth:scope:transfer.api.globus.org:all").value
    ]
    if known:
        tokens.append(globus_sandbox.world.auth.add_refresh_token(ada.id, f"{at}/https {at}/data_access").value)
    client = globus_sandbox.world.auth.client(globus_sandbox.client_id)
    assert client is not None
    connection = json.loads(globus_sandbox.connection_for(client, refresh_token="x"))
    connection["extra"]["refresh_token"] = tokens
    monkeypatch.setenv("AIRFLOW_CONN_GLOBUS_DEFAULT", json.dumps(connection))
    files = CollectionFiles(GlobusHook(), "lab")
    if known:
        assert files.read("/a.txt") == b"text"
    else:
        with pytest.raises(GlobusConfigError, match=f"{at}/https"):
            files.read("/a.txt")


def test_a_consent_that_is_asked_for_is_given(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    wanted = {"required_scopes": [f"https://auth.globus.org/scopes/{files.collection_id}/https"]}
    body = json.dumps({"code": "Unauthorized", "message": "Log in", "authorization_parameters": wanted})
    globus_sandbox.faults.add(service="https", method="GET", status=403, body=body, times=1)
    assert files.read("/a.txt") == b"text"
    globus_sandbox.faults.add(service="https", method="GET", status=403, body=body)
    with pytest.raises(GlobusConsentRequiredError, match="/https and store that refresh token"):
        files.read("/a.txt")


def test_revoked_tokens_are_renewed(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    files.read("/a.txt")
    globus_sandbox.clock.advance(globus_sandbox.settings.token_lifetime_seconds + 1)
    globus_sandbox.world.auth.revoke_tokens()
    try:
        assert files.read("/a.txt") == b"text"
    except GlobusError as error:
        pytest.fail(str(error))


def test_a_token_that_is_refused_for_good(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    globus_sandbox.faults.add(service="https", status=401, body="no")
    with pytest.raises(GlobusAuthError):
        files.read("/a.txt")


def test_a_login_that_the_server_denies_names_the_reason(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    detail = '{"DATA_TYPE": "not_from_allowed_domain#1.0.0", "allowed_domains": ["example.org"]}'
    result = f'{{"DATA_TYPE": "result#1.0.0", "code": "permission_denied", "message": "No", "detail": {detail}}}'
    body = f"530-GlobusError: v=1 c=LOGIN_DENIED\r\n530-GridFTP-JSON-Result: {result}\r\n530 End."
    globus_sandbox.faults.add(service="https", method="GET", status=403, body=body)
    with pytest.raises(GlobusPermissionError, match=r"allowed domains are example\.org"):
        files.read("/a.txt")


def test_no_token_is_in_an_error(files: CollectionFiles, globus_sandbox: GlobusSandbox) -> None:
    files.read("/a.txt")
    (token,) = [t for t in globus_sandbox.world.auth._access.values() if t.resource_server == files.collection_id]
    with pytest.raises(GlobusNotFoundError) as error:
        files.read("/none")
    assert token.value not in repr(error.value.__dict__)

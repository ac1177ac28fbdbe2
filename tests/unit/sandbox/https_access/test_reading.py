"""Files are read over HTTPS: whole, in parts, by whom the collection lets."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from airflow_provider_globus.sandbox.https_access.routes import SERVICE
from airflow_provider_globus.sandbox.internal import call

if TYPE_CHECKING:
    from tests.unit.sandbox.https_access.conftest import Lab

TEN = b"0123456789"


def test_a_file_whole(lab: Lab) -> None:
    data = lab.collection(files={"run/a.txt": TEN})
    answer = lab.ask("GET", data, "/run/a.txt")
    assert (answer.status_code, answer.content) == (200, TEN)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Accept-Ranges"] == "bytes"
    modified = (Path(data.root) / "run/a.txt").stat().st_mtime
    assert parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp() == int(modified)
    assert "Content-Disposition" not in answer.headers


def test_a_changed_file_has_another_etag(lab: Lab) -> None:
    data = lab.collection(files={"a": TEN})
    before = lab.ask("HEAD", data, "/a").headers["ETag"]
    assert lab.ask("HEAD", data, "/a").headers["ETag"] == before
    lab.ask("PUT", data, "/a", data=b"9876543210")
    assert lab.ask("HEAD", data, "/a").headers["ETag"] != before


def test_head_tells_the_size_and_sends_nothing(lab: Lab) -> None:
    data = lab.collection(files={"a.bin": TEN})
    answer = lab.ask("HEAD", data, "/a.bin")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "10")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_an_empty_file(lab: Lab) -> None:
    answer = lab.ask("GET", lab.collection(files={"a": b""}), "/a")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [("bytes=2-4", b"234", "bytes 2-4/*"), ("bytes=7-", b"789", "bytes 7-9/*"), ("bytes=8-99", b"89", "bytes 8-9/*")],
)
def test_a_part(lab: Lab, asked: str, content: bytes, told: str) -> None:
    answer = lab.ask("GET", lab.collection(files={"a": TEN}), "/a", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, content)
    assert (answer.headers["Content-Range"], answer.headers["Content-Length"]) == (told, str(len(content)))


def test_several_parts(lab: Lab) -> None:
    answer = lab.ask("GET", lab.collection(files={"a": TEN}), "/a", headers={"Range": "bytes=0-1,8-"})
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert (answer.status_code, kind) == (206, "multipart/byteranges")
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    parts = [part.partition(b"\r\n\r\n") for part in answer.content.split(f"\r\n--{boundary}".encode())[1:-1]]
    assert [(b"Content-Range: bytes 0-1/*" in head, body) for head, _, body in parts[:1]] == [(True, b"01")]
    assert [body for _, _, body in parts] == [b"01", b"89"]


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-8"])
def test_no_such_part(lab: Lab, asked: str) -> None:
    answer = lab.ask("GET", lab.collection(files={"a": TEN}), "/a", headers={"Range": asked})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_a_download(lab: Lab) -> None:
    answer = lab.ask("GET", lab.collection(files={"a ü.txt": TEN}), "/a ü.txt?download")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20%C3%BC.txt"
    assert answer.content == TEN


@pytest.mark.parametrize("name", ["a b", "ü", "a%20b", "a?b", "a#b", "a+b", "a;b", "a&b=c", "100%"])
def test_names_are_decoded_once(lab: Lab, name: str) -> None:
    data = lab.collection(files={name: TEN})
    assert lab.ask("GET", data, "/" + quote(name, safe="")).content == TEN


def test_a_large_file_is_not_held_in_memory(lab: Lab) -> None:
    data = lab.collection()
    with (Path(data.root) / "large").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    tracemalloc.start()
    try:
        answer = lab.ask("GET", data, "/large", stream=True)
        read = sum(len(piece) for piece in answer.iter_content(1024 * 1024))
        assert read == int(answer.headers["Content-Length"]) == 200 * 1024 * 1024
        assert tracemalloc.get_traced_memory()[1] < 30 * 1024 * 1024
    finally:
        tracemalloc.stop()


# What there is not


def test_a_missing_file_says_so_in_the_servers_words(lab: Lab) -> None:
    answer = lab.ask("GET", lab.collection(), "/a")
    assert answer.status_code == 404
    assert "c=PATH_NOT_FOUND\nGridFTP-Errno: 2\n" in answer.text
    assert "X-Sandbox-Provisional" not in answer.headers


def test_a_fault_of_the_storage_looks_like_a_missing_file_but_for_its_text(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_globus.sandbox.storage import LocalStorage, StorageError

    def broken(self: LocalStorage, path: str) -> None:
        raise StorageError("TIMEOUT", "S3 did not answer in time", path)

    data = lab.collection(files={"a": TEN})
    monkeypatch.setattr(LocalStorage, "stat", broken)
    answer = lab.ask("GET", data, "/a")
    assert answer.status_code == 404
    assert "c=ENDPOINT_ERROR" in answer.text
    assert "GridFTP-Errno: 2" not in answer.text


def test_directories_are_not_listed(lab: Lab) -> None:
    data = lab.collection(files={"run/a": TEN})
    for path in ("/run", "/run/", "/", ""):
        answer = lab.ask("GET", data, path)
        assert answer.status_code == 400
        assert "c=IS_A_DIRECTORY" in answer.text
        assert answer.headers["X-Sandbox-Provisional"] == "1"


def test_no_way_out_of_the_collection(lab: Lab) -> None:
    (lab.folder / "secret").write_bytes(b"secret")
    data = lab.collection()
    assert lab.ask("GET", data, "/%2e%2e/secret").status_code == 400


def test_personal_collections_and_endpoints_have_no_https(lab: Lab) -> None:
    personal = lab.collection("laptop", files={"a": TEN}, kind="personal")
    mapped = lab.collection("data")
    assert lab.ask("GET", personal, "/a").status_code == 404
    assert mapped.host is not None
    assert lab.ask("GET", mapped.host, "/a").status_code == 404


def test_other_methods_are_refused(lab: Lab) -> None:
    answer = lab.ask("POST", lab.collection(), "/a", data=b"x")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD, PUT")


# Who may


def test_a_browser_is_shown_the_way_to_the_login(lab: Lab) -> None:
    data = lab.collection(files={"a": TEN})
    answer = lab.ask("GET", data, "/a", token="")
    assert answer.status_code == 302
    url = urlsplit(answer.headers["Location"])
    query = parse_qs(url.query)
    assert url.path == "/v2/oauth2/authorize"
    assert query["client_id"] == [data.id]
    assert query["scope"] == [f"https://auth.globus.org/scopes/{data.id}/https"]


def test_a_program_is_told_the_scope_it_needs(lab: Lab) -> None:
    data = lab.collection(files={"a": TEN})
    answer = lab.ask("GET", data, "/a", token="", headers={"X-Requested-With": "XMLHttpRequest"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["authorization_parameters"]["required_scopes"] == [
        f"https://auth.globus.org/scopes/{data.id}/https"
    ]


def test_tokens_that_do_not_serve(lab: Lab) -> None:
    data, other = lab.collection(files={"a": TEN}), lab.collection("other")
    for token in ("Agnonsense", lab.transfer_token(), lab.token(other)):
        answer = lab.ask("GET", data, "/a", token=token)
        assert answer.status_code == 401
        assert answer.json()["authorization_parameters"]
    assert lab.ask("GET", data, "/a", token=lab.token(data, "data_access")).status_code == 403


def test_an_expired_token(lab: Lab) -> None:
    data = lab.collection(files={"a": TEN})
    token = lab.token(data)
    lab.sandbox.clock.advance(lab.sandbox.settings.token_lifetime_seconds + 1)
    assert lab.ask("GET", data, "/a", token=token).status_code == 401


def test_a_guest_needs_a_rule(lab: Lab) -> None:
    host = lab.collection(files={"shared/a": TEN, "b": TEN})
    guest = lab.guest(host)
    ada = lab.sandbox.add_identity("ada@example.org")
    token = lab.token(guest, identity_id=ada.id)
    assert lab.ask("GET", guest, "/shared/a", token=token).status_code == 403
    lab.sandbox.world.transfer.add_rule(guest, path="/shared/", principal=ada.id)
    assert lab.ask("GET", guest, "/shared/a", token=token).content == TEN
    assert lab.ask("GET", guest, "/b", token=token).status_code == 403
    assert lab.ask("PUT", guest, "/shared/a", token=token, data=b"x").status_code == 403


def test_anybody_reads_what_is_open_to_all(lab: Lab) -> None:
    host = lab.collection(files={"open/a": TEN, "b": TEN})
    guest = lab.guest(host)
    rules = lab.sandbox.world.transfer
    rules.add_rule(guest, path="/", principal_type="all_authenticated_users")
    assert lab.ask("GET", guest, "/open/a", token="").status_code == 302
    rules.add_rule(guest, path="/open/", principal_type="anonymous")
    assert lab.ask("GET", guest, "/open/a", token="").content == TEN
    assert lab.ask("GET", guest, "/b", token="").status_code == 302
    assert lab.ask("PUT", guest, "/open/a", token="", data=b"x").status_code == 302
    assert lab.ask("GET", guest, "/open/a", token="Agnonsense").status_code == 401


def test_what_was_open_to_all_until_now(lab: Lab) -> None:
    guest = lab.guest(lab.collection(files={"a": TEN}))
    end = datetime.fromtimestamp(lab.sandbox.clock.time() + 60, UTC).isoformat()
    lab.sandbox.world.transfer.add_rule(guest, path="/", principal_type="anonymous", expiration_date=end)
    assert lab.ask("GET", guest, "/a", token="").status_code == 200
    lab.sandbox.clock.advance(61)
    assert lab.ask("GET", guest, "/a", token="").status_code == 302


def test_the_journal_knows_who_read(lab: Lab) -> None:
    data = lab.collection(files={"a": TEN})
    lab.ask("GET", data, "/a")
    (entry,) = lab.sandbox.journal.requests("https", "GET")
    assert (entry.path, entry.status) == (f"/https/{data.id}/a", 200)
    assert entry.identity == f"{lab.sandbox.client_id}@clients.auth.globus.org"


def test_a_sandbox_that_takes_any_token(lab: Lab) -> None:
    data = lab.collection(files={"a": TEN})
    lab.sandbox.settings.require_issued_tokens = False
    assert lab.ask("GET", data, "/a", token="anything").content == TEN


def test_a_file_that_is_removed_while_it_is_sent_is_sent_as_it_was(lab: Lab) -> None:
    host = lab.collection(files={"a": b"0123456789"})
    guest, world = lab.guest(host), lab.sandbox.world
    world.transfer.add_rule(guest, path="/", principal_type="anonymous", permissions="r")
    pieces = call(world, SERVICE, "GET", f"/https/{guest.id}/a", world.auth.anyone())
    assert lab.ask("DELETE", host, "/a").status_code == 200
    assert b"".join(pieces) == b"0123456789"

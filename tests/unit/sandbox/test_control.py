"""The control plane over HTTP, as another process or language would use it, and the page of a task."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree

import globus_sdk
import pytest
import requests

from airflow_provider_globus import __version__
from airflow_provider_globus.sandbox.activity import activity_page

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

DAY = 86400


class Control:
    """Asks the control plane."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, method: str, path: str, document: Any = None, status: int = 200) -> Any:
        response = requests.request(method, f"{self._url}/_sandbox/{path}", json=document, timeout=10)
        assert response.status_code == status, response.text
        return response.json()


@pytest.fixture
def control(globus_sandbox: GlobusSandbox) -> Control:
    return Control(globus_sandbox.url)


def get_token(globus_sandbox: GlobusSandbox) -> requests.Response:
    return requests.post(
        f"{globus_sandbox.url}/v2/oauth2/token",
        data={"grant_type": "client_credentials", "scope": "openid"},
        auth=(globus_sandbox.client_id, globus_sandbox.client_secret),
        timeout=10,
    )


def test_health(globus_sandbox: GlobusSandbox, control: Control) -> None:
    assert control("GET", "health") == {"status": "ok", "version": __version__, "url": globus_sandbox.url}


def test_state_shows_all_but_secrets(globus_sandbox: GlobusSandbox, control: Control) -> None:
    token = get_token(globus_sandbox).json()["access_token"]
    ada = globus_sandbox.add_identity("ada@example.org")
    refresh = globus_sandbox.world.auth.add_refresh_token(ada.id, "openid").value
    state = control("GET", "state")
    assert state["auth"]["clients"][0]["id"] == globus_sandbox.client_id
    assert [i["username"] for i in state["auth"]["identities"]][1] == "ada@example.org"
    assert (state["auth"]["access_tokens"], state["auth"]["refresh_tokens"]) == (1, 1)
    assert state["settings"]["enforce_consents"] is True
    text = str(state)
    assert not [secret for secret in (token, refresh, globus_sandbox.client_secret) if secret in text]


def test_journal_is_searched_followed_and_cleared(globus_sandbox: GlobusSandbox, control: Control) -> None:
    for _ in range(3):
        get_token(globus_sandbox)
    requests.get(f"{globus_sandbox.url}/v0.10/task_list", timeout=10)
    assert control("GET", "journal")["total"] == 4
    found = control("GET", "journal?service=auth&method=POST&path=/v2/oauth2/*&limit=2")
    assert found["total"] == 3
    assert [entry["seq"] for entry in found["entries"]] == [
        entry.seq for entry in globus_sandbox.journal.requests("auth")[-2:]
    ]
    last = control("GET", "journal")["entries"][-1]
    assert (last["status"], last["service"]) == (401, "transfer")
    assert control("GET", f"journal?after={last['seq']}") == {"total": 0, "entries": []}
    control("GET", "journal?limit=many", status=400)
    control("DELETE", "journal")
    assert control("GET", "journal")["total"] == 0


def test_faults_are_added_listed_and_removed(globus_sandbox: GlobusSandbox, control: Control) -> None:
    first = control("POST", "faults", {"service": "auth", "status": 503}, status=201)["id"]
    control("POST", "faults", {"collection": "*", "nice_status": "ENDPOINT_ERROR"}, status=201)
    assert [fault["kind"] for fault in control("GET", "faults")["faults"]] == ["http", "path"]
    assert get_token(globus_sandbox).status_code == 503
    control("DELETE", f"faults/{first}")
    control("DELETE", f"faults/{first}", status=404)
    assert get_token(globus_sandbox).status_code == 200
    assert control("DELETE", "faults") == {"faults": []}
    assert "has no statsu" in control("POST", "faults", {"statsu": 1}, status=400)["message"]


def test_the_clock_is_frozen_advanced_scaled_and_resumed(globus_sandbox: GlobusSandbox, control: Control) -> None:
    before = globus_sandbox.clock.time()
    told = control("POST", "clock", {"freeze": True, "advance": DAY})
    assert told["frozen"] is True
    assert told["now"] == globus_sandbox.clock.now().isoformat()
    assert globus_sandbox.clock.time() >= before + DAY
    assert control("POST", "clock", {"resume": True, "scale": 60}) | {"now": ""} == {
        "now": "",
        "scale": 60.0,
        "frozen": False,
    }


@pytest.mark.parametrize(
    "document", [{"advance": -1}, {"advance": "soon"}, {"scale": 0}, {"speed": 2}, {"scale": 2, "advance": None}]
)
def test_the_clock_refuses_nonsense_and_stays_as_it_is(
    globus_sandbox: GlobusSandbox, control: Control, document: dict[str, Any]
) -> None:
    control("POST", "clock", document, status=400)
    assert globus_sandbox.clock.scale == 1


def test_settings_are_read_and_changed(globus_sandbox: GlobusSandbox, control: Control) -> None:
    assert control("GET", "settings")["active_tasks_per_identity"] == 3
    assert control("POST", "settings", {"active_tasks_per_identity": 1})["active_tasks_per_identity"] == 1
    assert globus_sandbox.settings.active_tasks_per_identity == 1
    assert "no setting 'active'" in control("POST", "settings", {"active": 1}, status=400)["message"]


def test_seed_adds_and_reset_goes_back(globus_sandbox: GlobusSandbox, control: Control) -> None:
    control("POST", "seed", {"identities": [{"username": "ada@example.org"}]}, status=201)
    assert globus_sandbox.world.auth.identity_by_username("ada@example.org")
    control("POST", "reset")
    assert globus_sandbox.world.auth.identity_by_username("ada@example.org") is None
    assert "has no identitties" in control("POST", "seed", {"identitties": []}, status=400)["message"]


def test_tokens_and_secrets_are_revoked(globus_sandbox: GlobusSandbox, control: Control) -> None:
    get_token(globus_sandbox)
    get_token(globus_sandbox)
    other = globus_sandbox.add_client("other")
    assert control("POST", "revoke", {"identity_id": other.id}) == {"revoked_tokens": 0}
    assert control("POST", "revoke", {}) == {"revoked_tokens": 2}
    ada = globus_sandbox.add_identity("ada@example.org")
    refresh = globus_sandbox.world.auth.add_refresh_token(ada.id, "openid")
    assert globus_sandbox.world.auth.caller_of(refresh).consents
    document = {"identity_id": ada.id, "refresh_tokens": True, "consents": True}
    assert control("POST", "revoke", document) == {"revoked_tokens": 1}
    assert not globus_sandbox.world.auth.caller_of(refresh).consents
    control("POST", "revoke", {"client_id": globus_sandbox.client_id})
    assert get_token(globus_sandbox).status_code == 401
    control("POST", "revoke", {"client_id": "nobody"}, status=400)
    control("POST", "revoke", {"everything": True}, status=400)


@pytest.mark.parametrize("body", ["", "not json", "[1]"])
def test_bad_documents_are_refused(globus_sandbox: GlobusSandbox, body: str) -> None:
    response = requests.post(f"{globus_sandbox.url}/_sandbox/clock", data=body, timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, "BadRequest")


def test_the_control_plane_leaves_no_trace_in_the_journal(globus_sandbox: GlobusSandbox, control: Control) -> None:
    control("GET", "health")
    requests.get(f"{globus_sandbox.url}/activity/none", timeout=10)
    assert globus_sandbox.journal.entries == []


# The page of a task


class _Page(HTMLParser):
    """Collects the texts, the links and the meta tags of a page, and that its tags are balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.meta: list[dict[str, str | None]] = []
        self.links: dict[str | None, str | None] = {}
        self.progress: dict[str, str | None] = {}
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            self.meta.append(dict(attrs))
            return
        if tag == "link":
            self.links[dict(attrs)["rel"]] = dict(attrs)["href"]
            return
        if tag == "progress":
            self.progress = dict(attrs)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"

    @property
    def reloads(self) -> bool:
        return any(meta.get("http-equiv") == "refresh" for meta in self.meta)


TASK: dict[str, Any] = {
    "task_id": "1234",
    "type": "TRANSFER",
    "status": "ACTIVE",
    "label": "<script>alert(1)</script>",
    "username": "ada@example.org",
    "source_endpoint_display_name": "Instrument",
    "destination_endpoint_display_name": "Archive",
    "files": 10,
    "files_transferred": 4,
    "bytes_transferred": 123456,
    "subtasks_total": 10,
    "subtasks_pending": 5,
    "subtasks_retrying": 1,
    "faults": 2,
    "nice_status": "PERMISSION_DENIED",
}


def test_the_page_of_an_active_task_shows_progress_and_reloads() -> None:
    event = {"code": "PERMISSION_DENIED", "time": "now", "is_error": True, "details": "<b>/data</b>"}
    page = _Page(activity_page(TASK, [event]))
    assert page.reloads
    assert page.progress == {"max": "10", "value": "4"}
    for text in ("<script>alert(1)</script>", "Instrument", "Archive", "4 of 10", "123,456", "<b>/data</b>"):
        assert text in page.text


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
def test_the_page_of_an_ended_task_stands_still(status: str) -> None:
    error = {"code": "CANCELED", "description": "canceled"}
    page = _Page(activity_page({**TASK, "status": status, "fatal_error": error}, []))
    assert not page.reloads
    assert "CANCELED: canceled" in page.text


def test_a_page_brings_its_icon_in_the_colour_of_the_status() -> None:
    icons = [_Page(activity_page({**TASK, "status": status}, [])).links["icon"] for status in ("ACTIVE", "FAILED")]
    pictures = [unquote(str(icon).removeprefix("data:image/svg+xml,")) for icon in icons]
    fills = [ElementTree.fromstring(picture)[0].attrib["fill"] for picture in pictures]
    assert fills == ["#1f5c99", "#b3261e"]


def test_the_page_of_an_unknown_task_is_not_found(globus_sandbox: GlobusSandbox) -> None:
    response = requests.get(f"{globus_sandbox.url}/activity/1234", timeout=10)
    assert response.status_code == 404
    assert "no task '1234'" in response.json()["message"]


def test_a_task_has_its_page(globus_sandbox: GlobusSandbox, globus_collection: Any) -> None:
    source = globus_collection("source", files={"a": b"x"}, kind="personal")
    target = globus_collection("target", kind="personal")
    app = globus_sdk.ClientApp(
        "test",
        client_id=globus_sandbox.client_id,
        client_secret=globus_sandbox.client_secret,
        config=globus_sdk.GlobusAppConfig(token_storage="memory"),
    )
    transfer = globus_sdk.TransferClient(app=app)
    data = globus_sdk.TransferData(source.id, target.id, label="Nightly copy")
    data.add_item("/a", "/a")
    task_id = transfer.submit_transfer(data)["task_id"]
    globus_sandbox.world.transfer.wait(task_id)
    response = requests.get(f"{globus_sandbox.url}/activity/{task_id}", timeout=10)
    assert response.headers["content-type"].startswith("text/html")
    page = _Page(response.text)
    assert "Nightly copy" in page.text
    assert "SUCCEEDED" in page.text
    assert "1 of 1" in page.text

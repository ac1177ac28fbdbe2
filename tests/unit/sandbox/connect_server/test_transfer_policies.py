"""Policies that Transfer keeps: access rules, flags of tasks, transfers refused; and what looking at them costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.unit.sandbox.connect_server.conftest import restrictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from globus_sdk import TransferAPIError

    from airflow_provider_globus.sandbox.transfer.collections import AccessRule
    from tests.unit.sandbox.connect_server.conftest import Site

    Denied = Callable[[Callable[..., object]], TransferAPIError]

ADA = "ada@example.org"


def patch(site: Site, collection_id: str, **changes: Any) -> None:
    site.gcs().update_collection(collection_id, {"DATA_TYPE": "collection#1.16.0", **changes})


def rule(site: Site, collection_id: str, **more: Any) -> AccessRule:
    """Add an access rule; returns it as the sandbox keeps it."""
    document = {"DATA_TYPE": "access", "principal_type": "anonymous", "principal": "", "path": "/", "permissions": "r"}
    answer = site.transfer().add_endpoint_acl_rule(collection_id, {**document, **more})
    return site.world.transfer.find(collection_id).rules[answer["access_id"]]


@pytest.fixture
def high(site: Site) -> str:
    """A mapped high assurance collection."""
    return site.mapped(site.gateway(high_assurance=True))


# Access rules


def test_anonymous_writes_are_allowed_until_they_are_not(site: Site, denied: Denied, posix: str) -> None:
    guest = site.guest(posix, "/alpha")
    made = rule(site, guest, permissions="rw")
    assert made.permissions == "rw"
    url = site.gcs().get_collection(guest)["https_url"]
    verify = str(site.sandbox.ca_file)
    assert requests.put(f"{url}/up", data=b"x", verify=verify, timeout=10).status_code == 200
    assert (site.folder / "alpha/up").read_bytes() == b"x"
    patch(site, posix, disable_anonymous_writes=True)
    assert site.gcs().get_collection(guest)["disable_anonymous_writes"] is True
    error = denied(lambda: rule(site, guest, path="/deep/", permissions="rw"))
    assert (error.http_status, error.code) == (400, "BadRequest")
    reading = rule(site, guest, path="/deep/")
    changed = {"DATA_TYPE": "access", "permissions": "rw"}
    assert denied(lambda: site.transfer().update_endpoint_acl_rule(guest, reading.id, changed)).http_status == 400
    assert rule(site, guest, principal_type="all_authenticated_users", permissions="rw").permissions == "rw"


def test_reading_for_all_is_not_writing_for_all(site: Site, posix: str) -> None:
    guest = site.guest(posix, "/alpha")
    rule(site, guest)
    url, verify = site.gcs().get_collection(guest)["https_url"], str(site.sandbox.ca_file)
    assert requests.get(f"{url}/a.txt", verify=verify, timeout=10).text == "alpha/a.txt"
    quiet = {"X-Requested-With": "XMLHttpRequest"}
    assert requests.put(f"{url}/a.txt", data=b"x", headers=quiet, verify=verify, timeout=10).status_code == 401
    assert (site.folder / "alpha/a.txt").read_text() == "alpha/a.txt"


def test_high_assurance_never_allows_anonymous_writes(site: Site, denied: Denied, high: str) -> None:
    guest = site.guest(high)
    assert site.gcs().get_collection(guest)["disable_anonymous_writes"] is True
    assert denied(lambda: rule(site, guest, permissions="rw")).http_status == 400
    with pytest.raises(ValueError, match="anonymous write"):
        site.world.transfer.add_rule(guest, path="/", principal_type="anonymous", permissions="rw")


@pytest.mark.parametrize(
    ("mapped", "own", "minutes"), [(60, None, 60), (None, 30, 30), (60, 30, 30), (30, 60, 30), (None, None, None)]
)
def test_rules_on_high_assurance_end_in_time(site: Site, high: str, mapped: Any, own: Any, minutes: Any) -> None:
    site.sandbox.clock.freeze()
    patch(site, high, acl_expiration_mins=mapped)
    guest = site.guest(high)
    patch(site, guest, acl_expiration_mins=own)
    made = rule(site, guest, principal_type="identity", principal=site.person(ADA))
    now = site.sandbox.clock.time()
    assert made.expires == (None if minutes is None else now + minutes * 60)
    if minutes is None:
        return
    assert site.transfer().get_endpoint_acl_rule(guest, made.id)["expiration_date"] == made.expiration_date
    assert made.expiration_date is not None
    later = datetime.fromtimestamp(now, UTC) + timedelta(minutes=2 * minutes)
    longer = rule(site, guest, path="/beta/", expiration_date=later.isoformat())
    assert longer.expires == now + minutes * 60
    soon = datetime.fromtimestamp(int(now), UTC) + timedelta(minutes=1)
    shorter = rule(site, guest, path="/alpha/", expiration_date=soon.isoformat())
    assert shorter.expires == soon.timestamp()
    changed = {"DATA_TYPE": "access", "permissions": "r", "expiration_date": later.isoformat()}
    site.transfer().update_endpoint_acl_rule(guest, shorter.id, changed)
    assert site.world.transfer.find(guest).rules[shorter.id].expires == now + minutes * 60
    assert site.names(guest, who=ADA) == ["alpha", "beta"]
    site.sandbox.clock.advance(minutes * 60)
    assert site.world.transfer.permissions(site.person(ADA), site.world.transfer.find(guest), "/") == ""


# Transfers


@pytest.mark.parametrize(
    ("policy", "out", "into"),
    [("outbound", 403, 202), ("inbound", 202, 403), ("all", 403, 403), (None, 202, 202)],
)
@pytest.mark.parametrize("kind", ["mapped", "guest"])
def test_high_assurance_may_keep_to_itself(
    site: Site, denied: Denied, posix: str, high: str, kind: str, policy: Any, out: int, into: int
) -> None:
    other = site.mapped(site.gateway(high_assurance=True))
    patch(site, high, restrict_transfers_to_high_assurance=policy)
    place = high if kind == "mapped" else site.guest(high)
    assert site.gcs().get_collection(place).get("restrict_transfers_to_high_assurance") == policy
    for number, (source, destination, status) in enumerate(
        ((place, posix, out), (posix, place, into), (place, other, 202), (other, place, 202))
    ):
        item = ("/alpha/a.txt", f"/copy-{number}")
        if status == 202:
            assert site.move(source, destination, item).status == "SUCCEEDED"
        else:
            assert denied(lambda a=source, b=destination, c=item: site.submit(a, b, c)).http_status == status
    # Bytes do not leave by the other door either.
    shown = site.gcs().get_collection(place)
    assert ("https_url" in shown.data and shown["https_url"] is not None) is (policy is None)
    url = f"{site.sandbox.tls_url}/https/{place}/alpha/a.txt"
    answer = requests.get(url, verify=str(site.sandbox.ca_file), timeout=10, allow_redirects=False)
    assert answer.status_code == (302 if policy is None else 404)


@pytest.mark.parametrize(("policy", "out", "into"), [("outbound", 400, 202), ("inbound", 202, 400), ("all", 400, 400)])
def test_times_may_have_to_be_kept(site: Site, denied: Denied, posix: str, policy: str, out: int, into: int) -> None:
    other = site.mapped(site.gateway())
    patch(site, posix, preserve_modtime=policy)
    for source, destination, status in ((posix, other, out), (other, posix, into)):
        item = ("/alpha/a.txt", f"/copy-{status}")
        assert site.move(source, destination, item, preserve_timestamp=True).status == "SUCCEEDED"
        if status == 400:
            error = denied(lambda a=source, b=destination, c=item: site.submit(a, b, c))
            assert error.http_status == 400
            assert "preserve_timestamp" in (error.message or "")
        else:
            assert site.move(source, destination, item).status == "SUCCEEDED"
    guest = site.guest(posix)
    if out == 400:
        assert denied(lambda: site.submit(guest, other, ("/alpha/a.txt", "/x"))).http_status == 400


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("kind", ["mapped", "guest"])
def test_flags_are_forced(site: Site, posix: str, side: str, kind: str) -> None:
    other = site.mapped(site.gateway())
    place = posix if kind == "mapped" else site.guest(posix)
    pair = (place, other) if side == "source" else (other, place)

    def flags(name: str) -> tuple[bool, bool]:
        task = site.move(*pair, ("/alpha/a.txt", name), verify_checksum=False, encrypt_data=False)
        shown = site.transfer().get_task(task.id)
        assert shown["status"] == "SUCCEEDED"
        return shown["encrypt_data"], shown["verify_checksum"]

    assert flags("/1") == (False, False)
    patch(site, posix, force_encryption=True)
    assert flags("/2") == (True, False)
    patch(site, place, force_verify=True)
    assert flags("/3") == (True, True)
    patch(site, posix, force_encryption=None)
    assert flags("/4") == (False, True)


def test_https_methods_of_a_collection(site: Site, posix: str) -> None:
    guest = site.guest(posix, "/alpha", https_methods=["GET"])
    rule(site, guest, permissions="rw")
    url, verify = site.gcs().get_collection(guest)["https_url"], str(site.sandbox.ca_file)
    assert requests.get(f"{url}/a.txt", verify=verify, timeout=10).status_code == 200
    assert requests.head(f"{url}/a.txt", verify=verify, timeout=10).status_code == 200
    assert requests.put(f"{url}/up", data=b"x", verify=verify, timeout=10).status_code == 405
    patch(site, posix, https_methods=["PUT"])
    assert requests.get(f"{url}/a.txt", verify=verify, timeout=10).status_code == 405


# What it costs


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("kind", ["mapped", "guest"])
def test_looking_twice_is_remembered(site: Site, monkeypatch: pytest.MonkeyPatch, kind: str, restricted: bool) -> None:
    """Restrictions are looked at for every file of a task: what can be worked out once must be."""
    paths = restrictions(read=["/alpha/$USER"]) if restricted else None
    mapped = site.mapped(site.gateway(restrict_paths=paths), sharing_restrict_paths=restrictions(none=["/beta"]))
    place = site.world.transfer.find(mapped if kind == "mapped" else site.guest(mapped))
    server, me = site.world.connect_server, site.sandbox.client_id
    (first,) = {server.restricted("rw", place, me, "/alpha")}
    counted: list[str] = []
    monkeypatch.setattr(type(server), "accounts", lambda *_: counted.append("accounts"))
    monkeypatch.setattr("airflow_provider_globus.sandbox.connect_server.restrictions._rule", counted.append)
    for number in range(10):
        assert server.restricted("rw", place, me, "/alpha") == first
        server.restricted("rw", place, me, f"/alpha/{number}")
    assert counted == []

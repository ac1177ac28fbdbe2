"""Requests that no client makes: every route refuses them as its service does, and touches nothing it may not."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from http.client import IncompleteRead
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.control import CONTROL
from airflow_provider_globus.sandbox.transfer import routes as transfer_routes
from tests.conformance import evidence
from tests.conformance.fuzz import junk, verdict
from tests.conformance.fuzz.generator import Generator, vocabulary
from tests.conformance.fuzz.guard import Guard, guarding
from tests.conformance.fuzz.site import routes
from tests.conformance.fuzz.tour import populated
from tests.conformance.fuzz.tour_data import CANARY
from tests.conformance.fuzz.wire import PATIENCE_SECONDS, OverHttp, Sent
from tests.unit.buckets import s3_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mypy_boto3_s3 import S3Client

    from airflow_provider_globus.sandbox.service import Route, Service
    from tests.conformance.fuzz.site import Site

THOROUGH = os.environ.get("CONFORMANCE_FUZZ") == "thorough"
# Not in the folder that the tests are run from.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "globus-sandbox-hypothesis")
CHOICES = 120
REQUESTS_OF_A_THREAD = 500 if THOROUGH else 60
#: How many requests a route gets; more where there is a document to be wrong.
EXAMPLES, EXAMPLES_WITH_BODY = (300, 900) if THOROUGH else (15, 50)


class Choices:
    """Makes choices out of bytes, of which a smaller one is a plainer choice, as one that is missing is."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def __call__(self, number: int) -> int:
        """Return a number below another."""
        return (next(self._data, 0) * 256 + next(self._data, 0)) % number


def requests(site: Site, service: Service, route: Route) -> st.SearchStrategy[Sent]:
    """Return requests for a route. They are drawn as bytes, because drawing each choice takes longer than a request."""
    choices = st.binary(min_size=CHOICES, max_size=CHOICES)
    return choices.map(lambda data: Generator(site, Choices(data)).request(service, route))


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with s3_service() as client:
        yield client


class Sites:
    """Populated sandboxes, one at a time: the routes of a service that have the same method share one."""

    def __init__(self, folder: Path, s3: S3Client) -> None:
        self._folder, self._s3, self._number = folder, s3, 0
        self._key: object = None
        self._open = ExitStack()

    def of(self, service: Service, route: Route) -> tuple[Site, Guard]:
        """Return the site for a route, and who watches it."""
        # What the control plane is told may leave nothing for the next.
        key = (service.name, route.method, route.path if service is CONTROL and route.method == "POST" else "")
        if key != self._key:
            self._site = self.fresh()
            self._key = key
        return self._site

    def fresh(self) -> tuple[Site, Guard]:
        """Return a site that nobody has asked yet."""
        self.close()
        self._number += 1
        folder = self._folder / str(self._number)
        (folder / "temporary").mkdir(parents=True)
        before, tempfile.tempdir = tempfile.tempdir, str(folder / "temporary")
        self._open.callback(setattr, tempfile, "tempdir", before)
        for bucket in self._s3.list_buckets()["Buckets"]:
            _emptied(self._s3, bucket["Name"])
        sandbox = GlobusSandbox(random_seed=1)
        self._open.callback(sandbox.world.close)
        site = populated(sandbox, folder, self._s3)
        self._open.callback(site.app.close)
        guard = Guard([self._folder], [site.outside, Path("/etc/passwd")])
        self._open.enter_context(guarding(guard))
        return site, guard

    def close(self) -> None:
        self._open.close()
        self._key = None


def _emptied(s3: S3Client, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=bucket)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, s3: S3Client) -> Iterator[Sites]:
    sites = Sites(tmp_path_factory.mktemp("fuzz"), s3)
    yield sites
    sites.close()


# Those that share a sandbox one after the other.
_ROUTES = [
    pytest.param(service, route, id=f"{service.name} {route.method} {route.path}")
    for service, route in sorted(routes(), key=lambda pair: (pair[0].name, pair[1].method))
]


@pytest.mark.parametrize(("service", "route"), _ROUTES)
def test_whatever_is_asked_is_answered_in_the_service_s_own_words(service: Service, route: Route, sites: Sites) -> None:
    site, guard = sites.of(service, route)
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES_WITH_BODY if route.method in ("POST", "PUT", "PATCH") else EXAMPLES,
        derandomize=True,
        database=None,
        print_blob=True,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(site, service, route))
    def fuzz(sent: Sent) -> None:
        reply = site.app.send(sent)
        statuses[reply.status] += 1
        verdict.check(site, service, sent, reply)
        if (sent.method, route.path, reply.status) == ("POST", "/flows", 201):
            verdict.check(site, service, sent, site.run_flow(reply))
        guard.check()
        if service is CONTROL:
            site.calm()

    try:
        fuzz()
    finally:
        evidence.note(
            "fuzz",
            service=service.name,
            method=route.method,
            route=route.path,
            requests=statuses.total(),
            statuses={str(status): count for status, count in sorted(statuses.items())},
        )


def _about(site: Site, place: str, path: str) -> Iterator[Sent]:
    """Yield requests of all that Transfer does with a path."""
    operation = f"/v0.10/operation/endpoint/{place}"
    for what in ("ls", "stat"):
        yield site.sent("transfer", "GET", f"{operation}/{what}", path=path)
    yield site.sent("transfer", "POST", f"{operation}/mkdir", {"path": path})
    for old, new in ((path, "/renamed"), ("/renamed", path)):
        yield site.sent("transfer", "POST", f"{operation}/rename", {"old_path": old, "new_path": new})
    for source, target, recursive in (
        (path, "/copied", False),
        ("/folder/b.txt", path, False),
        (path, "/copied/", True),
    ):
        item: dict[str, Any] = {"source_path": source, "destination_path": target, "recursive": recursive}
        document = {"DATA_TYPE": "transfer", "source_endpoint": place, "destination_endpoint": place, "DATA": [item]}
        more = {"submission_id": site.sandbox.world.new_id(), "recursive_symlinks": "copy"}
        yield site.sent("transfer", "POST", "/v0.10/transfer", {**document, **more})
    if path.strip("/~. "):
        doomed = {"DATA_TYPE": "delete", "endpoint": place, "recursive": True, "DATA": [{"path": path}]}
        yield site.sent("transfer", "POST", "/v0.10/delete", {**doomed, "submission_id": site.sandbox.world.new_id()})


def test_nothing_outside_has_changed(sites: Sites) -> None:
    """Beside what the guard sees of this process: what is there, after all that was asked."""
    site, guard = sites.fresh()
    transfer = site.sandbox.world.transfer
    mapped, personal = site.ids["endpoint_id"][0], site.ids["endpoint_id"][2]
    paths = [path.replace("{outside}", str(site.outside)) for path in junk.PATHS]
    for place in (mapped, personal):
        for path in paths:
            for sent in _about(site, place, path):
                verdict.check(site, transfer_routes.SERVICE, sent, site.app.send(sent))
    for task in list(transfer.tasks.values()):
        transfer.engine.cancel(task)
        transfer.wait(task.id)
    guard.check()
    assert {item.name: item.read_text() for item in site.outside.iterdir()} == {"secret.txt": CANARY}


_HOST, _CLOSE = b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n"
_TOKEN = b"POST /v2/oauth2/token HTTP/1.1\r\n" + _HOST
#: What is not HTTP, or only just.
_NOT_HTTP = (
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET /\x00 HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /\xff HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET /%ff%00%zz HTTP/1.1\r\n" + _CLOSE + b"\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\n" + _CLOSE + b"\r\n",
    b"GET http://example.org/v0.10/task_list HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n",
    b"GET /_sandbox/state HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    _TOKEN + b"Content-Length: -1\r\n\r\n",
    _TOKEN + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n",
    _TOKEN + b"Content-Length: 10\r\n\r\n{}",
    _TOKEN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
)


@contextmanager
def served(sites: Sites) -> Iterator[Site]:
    """A site over HTTP; nothing may have gone wrong unseen when it ends."""
    site, guard = sites.fresh()
    try:
        with site.sandbox:
            yield site
        guard.check()
    finally:
        sites.close()


def test_what_is_not_http_ends_nothing_but_its_connection(sites: Sites) -> None:
    with served(sites) as site:
        host, _, port = site.sandbox.url.partition("://")[2].partition(":")
        for data in _NOT_HTTP:
            with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
                # It may be closed before all of it was sent.
                with suppress(OSError):
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                answer = b""
                with suppress(ConnectionResetError):
                    while piece := connection.recv(65536):
                        answer += piece
            status = int(answer.split()[1]) if answer else 400
            assert 400 <= status < 500 or status == 501, (data[:200], answer)
        assert OverHttp(site.sandbox.url).send(Sent("GET", "/_sandbox/health")).status == 200


def test_many_at_once_are_answered_and_end(sites: Sites) -> None:
    """Requests of every service from some threads at once: none fails, none waits for ever, and all threads end."""
    before = set(threading.enumerate())
    asked = [pair for pair in routes() if pair[0] is not CONTROL]
    for service, _ in asked:
        # Kept from now on: Python 3.11 cannot read source in two threads at once (CPython issue 106905).
        vocabulary(service)
    refused: list[str] = []

    def ask(number: int) -> None:
        connection, random = OverHttp(site.sandbox.url), Random(number)
        try:
            for _ in range(REQUESTS_OF_A_THREAD):
                service, route = random.choice(asked)
                sent = Generator(site, random.randrange).request(service, route)
                # A file may be replaced between the look at its size and its being opened.
                with suppress(IncompleteRead) if service.takes_files else nullcontext():
                    if sent.fits:
                        verdict.check(site, service, sent, connection.send(sent))
        except Exception as error:
            refused.append(f"{error!r}"[:3000])
        finally:
            connection.close()

    with served(sites) as site:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads)
        assert not refused, "\n\n".join(refused)
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE_SECONDS
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), thread

"""Files are written and deleted over HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.sandbox.https_access.conftest import Lab


def test_a_new_file_and_another_in_its_place(lab: Lab) -> None:
    data = lab.collection()
    for content in (b"one", b"two, and longer"):
        assert lab.ask("PUT", data, "/a", data=content).status_code == 200
        assert (Path(data.root) / "a").read_bytes() == content


def test_an_empty_file(lab: Lab) -> None:
    data = lab.collection()
    assert lab.ask("PUT", data, "/done").status_code == 200
    assert (Path(data.root) / "done").read_bytes() == b""


def test_a_large_file_sent_in_pieces(lab: Lab) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(64):
            yield bytes([number]) * 100_000

    data = lab.collection()
    assert lab.ask("PUT", data, "/a", data=pieces()).status_code == 200
    assert (Path(data.root) / "a").read_bytes() == b"".join(pieces())


def test_no_directory_is_made(lab: Lab) -> None:
    data = lab.collection()
    answer = lab.ask("PUT", data, "/new/a", data=b"x")
    assert answer.status_code == 404
    assert not (Path(data.root) / "new").exists()


@pytest.mark.parametrize("path", ["/run", "/run/", "/new/", "/"])
def test_a_directory_is_no_file(lab: Lab, path: str) -> None:
    data = lab.collection(files={"run/a": b"x"})
    assert lab.ask("PUT", data, path, data=b"y").status_code == 400
    assert (Path(data.root) / "run/a").read_bytes() == b"x"


def test_a_part_cannot_be_written(lab: Lab) -> None:
    data = lab.collection(files={"a": b"0123"})
    answer = lab.ask("PUT", data, "/a", data=b"x", headers={"Content-Range": "bytes 1-1/4"})
    assert answer.status_code == 501
    assert (Path(data.root) / "a").read_bytes() == b"0123"


def test_a_read_only_collection(lab: Lab) -> None:
    data = lab.collection(files={"a": b"x"}, writable=False)
    assert lab.ask("PUT", data, "/a", data=b"y").status_code == 403
    assert lab.ask("DELETE", data, "/a").status_code == 403
    assert lab.ask("GET", data, "/a").content == b"x"


def test_deleting(lab: Lab) -> None:
    data = lab.collection(files={"a": b"x", "run/b": b"x"})
    assert lab.ask("DELETE", data, "/a").status_code == 200
    assert not (Path(data.root) / "a").exists()
    assert lab.ask("DELETE", data, "/a").status_code == 404
    assert lab.ask("DELETE", data, "/run").status_code == 400
    assert (Path(data.root) / "run/b").exists()


def test_what_is_written_stays_out_of_the_journal(lab: Lab) -> None:
    data = lab.collection()
    lab.ask("PUT", data, "/a", data=b'{"note": "of nobody\'s concern"}', headers={"Content-Type": "application/json"})
    (entry,) = lab.sandbox.journal.requests("https", "PUT")
    assert entry.body is None

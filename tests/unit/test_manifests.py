"""Manifests as text and as values."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.manifests import Manifest, ManifestEntry, digest, format_for, load, write

SHA = hashlib.sha256(b"alpha").hexdigest()
MD5 = hashlib.md5(b"beta").hexdigest()


def manifest(*entries: ManifestEntry) -> Manifest:
    return {entry.path: entry for entry in entries}


FILES = manifest(
    ManifestEntry("sub/b c.dat", 4, MD5, "MD5"),
    ManifestEntry("a.dat", 5, SHA, "SHA256"),
    ManifestEntry("naïve\\name", 0),
)


def test_json_lines_keep_everything(tmp_path: Path) -> None:
    location = str(tmp_path / "new/folder/m.jsonl")
    write(FILES, location, "jsonl")
    assert load(location, "m") == load(Path(location).read_text(), "m") == FILES
    first = Path(location).read_text().splitlines()[0]
    assert first == f'{{"path": "a.dat", "size": 5, "checksum": "{SHA}", "algorithm": "SHA256"}}'
    assert [path.name for path in Path(location).parent.iterdir()] == ["m.jsonl"]


def test_checksum_lines_are_those_of_sha256sum(tmp_path: Path) -> None:
    names = ["a.dat", "sub/b c.dat", "back\\slash"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"alpha")
    written = manifest(*(ManifestEntry(name, 5, SHA, "SHA256") for name in names))
    write(written, str(tmp_path / "SUMS"), "checksums")
    tool = shutil.which("sha256sum")
    assert tool is not None
    subprocess.run([tool, "--check", "--strict", "SUMS"], cwd=tmp_path, check=True)
    made = subprocess.run([tool, *(f"./{name}" for name in names)], cwd=tmp_path, check=True, capture_output=True)
    without_sizes = manifest(*(ManifestEntry(name, None, SHA, "SHA256") for name in names))
    assert load(made.stdout.decode(), "m") == load(str(tmp_path / "SUMS"), "m") == without_sizes


def test_what_checksum_lines_cannot_say(tmp_path: Path) -> None:
    for entries, said in ((FILES, "has none"), ({k: v for k, v in FILES.items() if v.checksum}, "MD5, SHA256")):
        with pytest.raises(GlobusInputError, match=said):
            write(entries, str(tmp_path / "SUMS"), "checksums")
    assert list(tmp_path.iterdir()) == []


def test_the_digest_depends_on_files_alone() -> None:
    turned = dict(reversed(FILES.items()))
    assert digest(turned) == digest(FILES)
    assert digest(FILES | {"a.dat": ManifestEntry("a.dat", 6, SHA, "SHA256")}) != digest(FILES)


def test_the_ending_says_the_format() -> None:
    assert [format_for(name) for name in ("x.SHA256", "x.md5", "x.jsonl", "")] == ["checksums"] * 2 + ["jsonl"] * 2


def test_a_result_that_holds_all_is_read_without_its_file() -> None:
    entries = [entry.as_dict() for entry in FILES.values()]
    result = {"entries": entries, "truncated": False, "location": "/no/such/file", "digest": digest(FILES)}
    assert load(result, "m") == load(entries, "m") == FILES


def test_a_result_that_was_cut_is_read_from_its_file(tmp_path: Path) -> None:
    location = str(tmp_path / "m.jsonl")
    write(FILES, location, "jsonl")
    result: dict[str, Any] = {"entries": [], "truncated": True, "location": location, "digest": digest(FILES)}
    assert load(result, "m") == FILES
    write({"a.dat": FILES["a.dat"]}, location, "jsonl")
    with pytest.raises(GlobusInputError, match="its digest is another"):
        load(result, "m")
    with pytest.raises(GlobusInputError, match="neither all entries nor a location"):
        load(result | {"location": None}, "m")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "int"),
        ("/no/such/file", "No such file"),
        ([{"size": 3}], "entry 0 has no path"),
        ([{"path": "../up"}], "no path below"),
        ([{"path": "/abs"}], "no path below"),
        ([{"path": "a//b"}], "no path below"),
        ([{"path": "a", "size": "3"}], "no size"),
        ([{"path": "a", "checksum": "xyz"}], "hexadecimal"),
        ([{"path": "a", "checksum": "abc"}], "name its algorithm"),
        ([{"path": "a"}, {"path": "./a"}], "'a' twice"),
        ("{broken\n", "line 1 is no JSON"),
        (f"{SHA}  fine\nnonsense\n", "line 2 cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(given: Any, said: str) -> None:
    with pytest.raises(GlobusInputError, match=said):
        load(given, "the manifest")


def test_comments_empty_lines_and_other_spellings_are_read() -> None:
    text = f"# made by hand\n\n{SHA.upper()} *a.dat\r\n"
    assert load(text, "m") == manifest(ManifestEntry("a.dat", None, SHA, "SHA256"))
    assert load([{"path": "a", "checksum": SHA, "algorithm": "sha-256"}], "m")["a"].algorithm == "SHA256"

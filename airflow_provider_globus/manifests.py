"""
Manifests: which files a set has, how large they are, and their checksums.

Written as JSON lines, or as ``md5sum``, ``sha256sum`` and their kin write and check them.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_globus.exceptions import GlobusInputError

#: Globus's names of checksum algorithms, by the number of hexadecimal digits.
ALGORITHMS = {32: "MD5", 40: "SHA1", 56: "SHA224", 64: "SHA256", 96: "SHA384", 128: "SHA512"}

JSON_LINES, CHECKSUMS = "jsonl", "checksums"
FORMATS = (JSON_LINES, CHECKSUMS)

#: Endings of files that are written as ``sha256sum`` and its kin do.
_CHECKSUM_SUFFIXES = tuple(f".{name.lower()}" for name in ALGORITHMS.values())

_ADVICE = (
    "Give what GlobusCreateManifestOperator returned, a list of dicts with path, size, checksum and algorithm, "
    "or the path of a file of JSON lines or of lines as sha256sum writes them."
)


class ManifestEntry(NamedTuple):
    """
    One file of a set.

    :param path: relative to the set's directory.
    :param size: in bytes, if known.
    :param checksum: in hexadecimal digits, if known.
    :param algorithm: of the checksum, by Globus's name for it, for example ``SHA256``.
    """

    path: str
    size: int | None = None
    checksum: str | None = None
    algorithm: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """What is known of the file, as JSON."""
        return {name: value for name, value in self._asdict().items() if value is not None}


#: The files of a set by their paths.
Manifest = dict[str, ManifestEntry]


def format_for(location: str) -> str:
    """The format in which a file of this name is written, unless the author says otherwise."""
    return CHECKSUMS if location.lower().endswith(_CHECKSUM_SUFFIXES) else JSON_LINES


def digest(manifest: Manifest) -> str:
    """SHA-256 of a manifest as JSON lines: the same for the same files, in whatever format and order."""
    value = hashlib.sha256()
    for line in _lines(manifest, JSON_LINES):
        value.update(line.encode())
    return value.hexdigest()


def write(manifest: Manifest, location: str, style: str) -> None:
    """
    Write a manifest to a local file, sorted by path; the file appears whole or not at all.

    :param style: ``jsonl`` or ``checksums``.
    :raises GlobusInputError: when the format cannot express it, or the file cannot be written.
    """
    path = Path(location).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            try:
                file.writelines(_lines(manifest, style))
            except BaseException:
                Path(file.name).unlink()
                raise
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise GlobusInputError(f"The manifest cannot be written to {location}: {error.strerror}.") from None


def load(given: Any, where: str) -> Manifest:
    """
    Read a manifest.

    :param given: the result of ``GlobusCreateManifestOperator``; a list of entries; text; or the path of a local file.
    :param where: what errors call it.
    :raises GlobusInputError: when it cannot be read, or differs from the digest that it came with.
    """
    if isinstance(given, Mapping):
        return _load_result(given, where)
    if isinstance(given, Path) or (isinstance(given, str) and "\n" not in given and not given.startswith("{")):
        return _load_file(Path(given), where)
    if isinstance(given, str):
        return _collected(_parsed(given.split("\n"), where), where)
    if isinstance(given, Iterable):
        entries = (_entry(item, f"{where}: entry {number}") for number, item in enumerate(given))
        return _collected(entries, where)
    raise GlobusInputError(f"{where} cannot be read: {type(given).__name__}.", advice=_ADVICE)


def _load_result(given: Mapping[str, Any], where: str) -> Manifest:
    if not given.get("truncated") and isinstance(given.get("entries"), list):
        manifest = load(given["entries"], where)
    elif given.get("location"):
        manifest = _load_file(Path(str(given["location"])), where)
    else:
        raise GlobusInputError(f"{where} has neither all entries nor a location.", advice=_ADVICE)
    # Lines as of sha256sum hold no sizes, which the digest covers.
    complete = all(entry.size is not None for entry in manifest.values())
    if given.get("digest") and complete and digest(manifest) != given["digest"]:
        raise GlobusInputError(
            f"{where} is not the manifest that was made: its digest is another.",
            advice="It was changed since, or another run has written to the same place: name the run in its path.",
        )
    return manifest


def _load_file(path: Path, where: str) -> Manifest:
    where = f"{where} ({path})"
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            return _collected(_parsed(file, where), where)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise GlobusInputError(f"{where} cannot be read: {said}.", advice=_ADVICE) from None


def _collected(entries: Iterable[ManifestEntry], where: str) -> Manifest:
    manifest: Manifest = {}
    for entry in entries:
        if entry.path in manifest:
            raise GlobusInputError(f"{where} names {entry.path!r} twice.")
        manifest[entry.path] = entry
    return manifest


def _parsed(lines: Iterable[str], where: str) -> Iterator[ManifestEntry]:
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if line.strip() and not line.startswith("#"):
            place = f"{where}: line {number}"
            yield _json_line(line, place) if line.startswith("{") else _checksum_line(line, place)


def _json_line(line: str, place: str) -> ManifestEntry:
    try:
        document = json.loads(line)
    except ValueError:
        raise GlobusInputError(f"{place} is no JSON.", advice=_ADVICE) from None
    return _entry(document, place)


def _checksum_line(line: str, place: str) -> ManifestEntry:
    # A backslash in front says that those in the name are doubled.
    found = re.fullmatch(r"(\\?)([0-9A-Fa-f]+) [ *](.+)", line)
    if found is None:
        raise GlobusInputError(f"{place} cannot be read: {line[:80]!r}.", advice=_ADVICE)
    escaped, checksum, path = found.groups()
    return _entry({"path": path.replace("\\\\", "\\") if escaped else path, "checksum": checksum}, place)


def _entry(document: Any, place: str) -> ManifestEntry:
    """A checked entry; a manifest may come from anywhere."""
    if not isinstance(document, Mapping) or not isinstance(document.get("path"), str):
        raise GlobusInputError(f"{place} has no path.", advice=_ADVICE)
    path = document["path"].removeprefix("./")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise GlobusInputError(f"{place}: {path!r} is no path below the set's directory.")
    size, checksum = document.get("size"), document.get("checksum")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise GlobusInputError(f"{place}: {size!r} is no size in bytes.")
    if checksum is None:
        return ManifestEntry(path, size)
    if not isinstance(checksum, str) or not re.fullmatch(r"[0-9A-Fa-f]+", checksum):
        raise GlobusInputError(f"{place}: {checksum!r} is no checksum in hexadecimal digits.")
    algorithm = document.get("algorithm") or ALGORITHMS.get(len(checksum))
    if not isinstance(algorithm, str):
        raise GlobusInputError(f"{place}: a checksum of {len(checksum)} digits needs to name its algorithm.")
    return ManifestEntry(path, size, checksum.lower(), algorithm.upper().replace("-", ""))


def _lines(manifest: Manifest, style: str) -> Iterator[str]:
    if style == CHECKSUMS:
        _check_expressible(manifest)
    for path in sorted(manifest):
        entry = manifest[path]
        if style == JSON_LINES:
            yield json.dumps(entry.as_dict(), ensure_ascii=False) + "\n"
        elif "\\" in path:
            doubled = path.replace("\\", "\\\\")
            yield f"\\{entry.checksum}  {doubled}\n"
        else:
            yield f"{entry.checksum}  {path}\n"


def _check_expressible(manifest: Manifest) -> None:
    without = next((entry.path for entry in manifest.values() if entry.checksum is None), None)
    if without is not None:
        raise GlobusInputError(
            f"The format {CHECKSUMS!r} needs a checksum of every file, and {without!r} has none.",
            advice=f"Write it in the format {JSON_LINES!r}, or give the transfer that copied the file as verified_by.",
        )
    algorithms = {str(entry.algorithm) for entry in manifest.values()}
    if len(algorithms) > 1:
        raise GlobusInputError(
            f"The format {CHECKSUMS!r} takes checksums of one algorithm, not of {', '.join(sorted(algorithms))}.",
            advice=f"Write it in the format {JSON_LINES!r}.",
        )

"""Manifests of checksums: made of a set of files, and a set of files verified against one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.exceptions import GlobusVerificationError
from airflow_provider_globus.manifests import FORMATS, Manifest, ManifestEntry, digest, format_for, load, write
from airflow_provider_globus.operators.collections import GlobusCollectionOperator
from airflow_provider_globus.operators.proofs import Copied, verified_copies
from airflow_provider_globus.operators.transfer import GlobusTransferOperator
from airflow_provider_globus.paths import check_path, join

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.exceptions import GlobusJobError
    from airflow_provider_globus.jobs.base import Verdict

#: Entries that an XCom holds at most, whatever the author asks for.
MAX_RETURNED = 10_000

#: Paths that a result names of each kind of finding, and an error.
_LISTED, _NAMED = 100, 5

#: What can be wrong with a set of files, in words.
_FINDINGS = {
    "missing": "missing",
    "size": "of another size",
    "checksum": "of another checksum",
    "unproven": "not proven to be the same",
    "extra": "not in the manifest",
}

_UNPROVEN = (
    "Unproven are files that no transfer given as verified_by copied with that checksum's algorithm, or that were "
    "modified since: give reread_to, or set require_checksums=False."
)


class GlobusCreateManifestOperator(GlobusCollectionOperator):
    """
    Make a manifest of all files below a directory: path, size and, where a transfer has verified it, checksum.

    Sizes come from listings. Globus computes no checksum for the asking, but keeps those that a transfer with
    ``verify_checksum`` has found the same at both sides: name the transfers that wrote the files here, or read them
    from here, as ``verified_by``. A file that has been modified or has changed its size since is an error. Files that a
    sync skipped were not checksummed: name the earlier transfer that copied them, too.

    Returns ``files``, ``bytes``, ``checksums`` (files that have one), ``digest`` (SHA-256 of the manifest as JSON
    lines), ``location``, ``format``, ``entries`` (the first ``limit``) and ``truncated``.

    :param path: the directory; absolute, as the transfers name it.
    :param verified_by: ids of transfer tasks, or results of ``GlobusTransferOperator``; of several that copied a file,
        the last counts.
    :param write_to: local file of the worker to write, seen whole or not at all. What another task shall read belongs
        on storage that their workers share.
    :param format: ``jsonl``: a line of JSON for each file; or ``checksums``: lines as ``sha256sum`` writes them,
        without sizes. Default: ``checksums`` when ``write_to`` ends in ``.md5``, ``.sha256`` or the like.
    :param require_checksums: fail when a file has no checksum. Default: when ``verified_by`` is given.
    :param limit: entries that the result holds at most, up to 10,000. Without ``write_to``, more files are an error:
        the manifest would be lost.
    """

    template_fields: Sequence[str] = ("collection", "path", "verified_by", "write_to", "globus_conn_id")

    def __init__(
        self,
        *,
        path: str,
        verified_by: Any = None,
        write_to: str | None = None,
        format: str | None = None,
        require_checksums: bool | None = None,
        limit: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.verified_by = verified_by
        self.write_to = write_to
        self.format = format
        self.require_checksums = require_checksums
        self.limit = limit
        if format is not None and format not in FORMATS:
            raise self.refuse(f"format {format!r} is unknown.", f"Choose from {', '.join(FORMATS)}.")
        if not 0 <= limit <= MAX_RETURNED:
            raise self.refuse(f"limit must be 0 to {MAX_RETURNED}, not {limit}.", "XComs are not made for long lists.")

    def execute(self, context: Context) -> dict[str, Any]:
        """List, add what transfers have proven, and write."""
        path = check_path(self.path, "path")
        collection_id = self.hook.use_collection(self.collection)
        copies = {} if self.verified_by is None else verified_copies(self, self.verified_by, collection_id, path)
        manifest = self._manifest(collection_id, path, copies)
        style = self.format or format_for(self.write_to or "")
        if self.write_to:
            write(manifest, self.write_to, style)
        elif len(manifest) > self.limit:
            raise self.refuse(
                f"{path} on {self.collection!r} holds {len(manifest)} files, and a result {self.limit} at most.",
                "Give write_to, the path of a file to write the manifest to.",
            )
        result = self._result(manifest, style)
        self.log.info("%(files)d files, %(bytes)d bytes, %(checksums)d checksums; digest %(digest)s.", result)
        return result

    def _manifest(self, collection_id: str, path: str, copies: Mapping[str, Copied]) -> Manifest:
        manifest: Manifest = {}
        without: list[str] = []
        for relative, entry in _files(self, collection_id, path):
            copy = copies.get(relative)
            if copy is not None and (copy.is_stale(entry) or copy.size not in (None, entry["size"])):
                raise GlobusVerificationError(
                    f"{join(path, relative)} on {self.collection!r} has changed since the transfer that verified it.",
                    advice="Copy it again, and name that transfer as verified_by.",
                )
            known = (copy.checksum, copy.algorithm) if copy is not None and copy.checksum else (None, None)
            manifest[relative] = ManifestEntry(relative, int(entry["size"]), *known)
            if known[0] is None:
                without.append(relative)
        if gone := copies.keys() - manifest.keys():
            self.log.warning("%d files that were transferred are gone: %s.", len(gone), _some(sorted(gone)))
        required = self.verified_by is not None if self.require_checksums is None else self.require_checksums
        if required and without:
            raise GlobusVerificationError(
                f"{len(without)} of {len(manifest)} files in {path} on {self.collection!r} have no checksum: "
                f"{_some(without)}.",
                advice="Name the transfers that copied them as verified_by, or set require_checksums=False.",
            )
        return manifest

    def _result(self, manifest: Manifest, style: str) -> dict[str, Any]:
        first = sorted(manifest)[: self.limit]
        return {
            "files": len(manifest),
            "bytes": sum(entry.size or 0 for entry in manifest.values()),
            "checksums": sum(entry.checksum is not None for entry in manifest.values()),
            "digest": digest(manifest),
            "location": self.write_to,
            "format": style,
            "entries": [manifest[path].as_dict() for path in first],
            "truncated": len(first) < len(manifest),
        }


class GlobusVerifyManifestOperator(GlobusTransferOperator):
    """
    Verify that the files below a directory are those of a manifest.

    What is looked at, from cheap to costly, and what it proves:

    - Always: a listing. Every file is there, of the size that the manifest says, and no other is (see ``extra``).
    - ``verified_by``: the transfers that wrote the files here, or read them from here. Globus then found the manifest's
      checksum at both sides, and the storage says that the file was not modified since (clocks may differ by a minute).
      Proves nothing about what has happened to the bytes without a trace, such as rot.
    - ``reread_to``: Globus reads every file again and compares its bytes with the manifest (``external_checksum``).
      It does so only when it copies, so a scratch directory takes the copies: delete it afterwards with
      ``GlobusDeleteOperator``. Proves the bytes that are there now; costs a transfer, and egress at a cloud.

    A comparison of checksums without a copy, as a dry run of ``sync_level="checksum"``, is nothing Globus offers.

    Returns ``ok``, ``files``, ``bytes``, ``proof`` (``size``, ``transfer`` or ``reread``), ``manifest_digest``,
    ``findings`` (for each kind the count and the first 100 paths) and, with ``reread_to``, the ``transfer``'s summary.

    :param collection: UUID, alias of the connection, or unique display name.
    :param path: the directory that the manifest's paths are relative to.
    :param manifest: the result of ``GlobusCreateManifestOperator``; a list of dicts with ``path``, ``size``,
        ``checksum`` and ``algorithm``; the path of a local file of JSON lines or of lines as ``sha256sum`` writes them;
        or the text of such a file.
    :param verified_by: ids of transfer tasks, or results of ``GlobusTransferOperator``.
    :param reread_to: collection and directory for the copies, as a pair, or as dict with ``collection`` and ``path``.
    :param extra: ``fail`` when there are files that the manifest does not list, or ``ignore`` them.
    :param require_checksums: with ``verified_by`` or ``reread_to``, fail for files whose checksum neither can compare.
    :param fail_on_findings: ``False`` returns what the listing and the transfers show instead of failing, with ``ok``
        false; nothing is then read again. A file that is found to differ when it is read again always fails.
    """

    template_fields: Sequence[str] = (
        "collection",
        "path",
        "manifest",
        "verified_by",
        "reread_to",
        "task_label",
        "deadline",
        "globus_conn_id",
    )

    def __init__(
        self,
        *,
        collection: str,
        path: str,
        manifest: Any,
        verified_by: Any = None,
        reread_to: Any = None,
        extra: str = "fail",
        require_checksums: bool = True,
        fail_on_findings: bool = True,
        stuck_grace: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            source_collection=collection, destination_collection="", items=[], stuck_grace=stuck_grace, **kwargs
        )
        self.collection = collection
        self.path = path
        self.manifest = manifest
        self.verified_by = verified_by
        self.reread_to = reread_to
        self.extra = extra
        self.require_checksums = require_checksums
        self.fail_on_findings = fail_on_findings
        self._notes: dict[str, Any] = {}
        if extra not in ("fail", "ignore"):
            raise self.refuse(f"extra={extra!r} is unknown.", "Choose fail or ignore.")

    def prepare(self, context: Context) -> dict[str, Any] | None:
        """Compare, and make the document of the transfer that reads all again, if that is wanted and of use."""
        path = check_path(self.path, "path")
        manifest = load(self.manifest, f"{type(self).__name__}: manifest")
        if not manifest:
            raise self.refuse("the manifest lists no file: there is nothing to verify.")
        scratch = self._scratch()
        collection_id = self.hook.use_collection(self.collection)
        if scratch is not None and (self.hook.use_collection(scratch[0]), scratch[1]) == (collection_id, path):
            raise self.refuse("reread_to is the directory that is verified.", "Give a scratch directory elsewhere.")
        findings = self._findings(manifest, collection_id, path)
        self._notes = self._noted(manifest, findings)
        if not self._notes["ok"]:
            self._report(path)
            return None
        self.log.info("%d files in %s on %r are as the manifest says.", len(manifest), path, self.collection)
        return None if scratch is None else self._reread(manifest, path, scratch, context)

    def notes(self) -> dict[str, Any]:
        """What was found, for the result."""
        return self._notes

    def result(self, verdict: Verdict) -> dict[str, Any]:
        """What was found, with the summary of the transfer, if there was one."""
        notes = dict(self._entry.notes if self._entry else self._notes)
        return notes | {"transfer": dict(verdict.result)} if verdict.result else notes

    def error(self, verdict: Verdict, why: str) -> GlobusJobError:
        """The error for a transfer that did not end well: the likeliest one says what it means."""
        if verdict.code == "EXTERNAL_CHECKSUM_MISMATCH":
            why = f"The bytes of a file on {self.collection!r} are NOT those of the manifest. {why}"
        return super().error(verdict, why)

    def _findings(self, manifest: Manifest, collection_id: str, path: str) -> dict[str, list[str]]:
        copies = None if self.verified_by is None else verified_copies(self, self.verified_by, collection_id, path)
        findings: dict[str, list[str]] = {kind: [] for kind in _FINDINGS}
        seen: set[str] = set()
        for relative, entry in _files(self, collection_id, path):
            expected = manifest.get(relative)
            if expected is None:
                if self.extra == "fail":
                    findings["extra"].append(relative)
                continue
            seen.add(relative)
            if (kind := self._finding(expected, entry, copies)) is not None:
                findings[kind].append(relative)
        findings["missing"] = sorted(manifest.keys() - seen)
        return findings

    def _finding(
        self, expected: ManifestEntry, entry: Mapping[str, Any], copies: Mapping[str, Copied] | None
    ) -> str | None:
        if expected.size not in (None, entry["size"]):
            return "size"
        copy = (copies or {}).get(expected.path)
        comparable = copy is not None and copy.checksum is not None and copy.algorithm == expected.algorithm
        if copy is not None and comparable and copy.checksum != expected.checksum:
            return "checksum"
        if not self.require_checksums or (copies is None and self.reread_to is None):
            return None
        proven = comparable and copy is not None and not copy.is_stale(entry)
        # What is read again needs no other proof, but a checksum to be compared with.
        return None if proven or (self.reread_to is not None and expected.checksum is not None) else "unproven"

    def _noted(self, manifest: Manifest, findings: Mapping[str, list[str]]) -> dict[str, Any]:
        proof = "size" if self.verified_by is None else "transfer"
        return {
            "ok": not any(findings.values()),
            "files": len(manifest),
            "bytes": sum(entry.size or 0 for entry in manifest.values()),
            "proof": proof if self.reread_to is None else "reread",
            "manifest_digest": digest(manifest),
            "findings": {
                kind: {"count": len(paths), "paths": paths[:_LISTED]} for kind, paths in findings.items() if paths
            },
        }

    def _report(self, path: str) -> None:
        found = self._notes["findings"]
        parts = [
            f"{item['count']} {_FINDINGS[kind]} ({_some(item['paths'], item['count'])})" for kind, item in found.items()
        ]
        listed, files = "; ".join(parts), self._notes["files"]
        message = f"Of {files} files of the manifest in {path} on {self.collection!r}: {listed}."
        if self.fail_on_findings:
            raise GlobusVerificationError(message, advice=_UNPROVEN if "unproven" in found else "", findings=found)
        self.log.warning("%s", message)

    def _scratch(self) -> tuple[str, str] | None:
        given = self.reread_to
        if given is None:
            return None
        if isinstance(given, Mapping) and {"collection", "path"} <= set(given):
            given = (given["collection"], given["path"])
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
            raise self.refuse(f"reread_to cannot be read: {given!r}.", "Give a collection and a directory on it.")
        return str(given[0]), check_path(given[1], "reread_to")

    def _reread(
        self, manifest: Manifest, path: str, scratch: tuple[str, str], context: Context
    ) -> dict[str, Any] | None:
        self.source_collection, self.destination_collection = self.collection, scratch[0]
        self.items = [
            {
                "source_path": join(path, entry.path),
                "destination_path": join(scratch[1], entry.path),
                "external_checksum": entry.checksum,
                "checksum_algorithm": entry.algorithm,
            }
            for entry in manifest.values()
            if entry.checksum is not None
        ]
        if not self.items:
            raise self.refuse("the manifest has no checksums: reading again would compare nothing.")
        return super().prepare(context)


def _files(
    operator: GlobusCollectionOperator | GlobusTransferOperator, collection_id: str, path: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    from airflow_provider_globus.hooks.files import walk

    options = {"local_user": user} if (user := getattr(operator, "local_user", None)) else {}
    entries = walk(operator.hook, collection_id, path, **options)
    return ((relative, entry) for relative, entry in entries if entry["type"] != "dir")


def _some(paths: Sequence[str], count: int | None = None) -> str:
    more = (len(paths) if count is None else count) - _NAMED
    return ", ".join(paths[:_NAMED]) + (f" and {more} more" if more > 0 else "")

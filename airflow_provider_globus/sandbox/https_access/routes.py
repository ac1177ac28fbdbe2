"""HTTPS access to the files of collections: read (whole or in parts), write and delete them, one at a time.

There are no listings: these are Transfer's. That a file is written into a missing directory is refused, as the
servers behind do it, is not confirmed, nor is what a directory is answered with.
"""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_globus.sandbox.errors import NotServed, ServiceError
from airflow_provider_globus.sandbox.https_access.access import Place, place_of
from airflow_provider_globus.sandbox.https_access.errors import CONFIRMED, FORBIDDEN, UNAUTHENTICATED, refused
from airflow_provider_globus.sandbox.https_access.errors import render_error as render
from airflow_provider_globus.sandbox.https_access.ranges import (
    Multipart,
    Range,
    UnsatisfiableError,
    content_range,
    parse_ranges,
    read_range,
)
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, Service, ServiceRequest
from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.base import CHUNK_BYTES

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.storage import Entry

_BINARY = "application/octet-stream"


def read(request: ServiceRequest) -> Answer:
    """Answer with a file, or the parts of it that are asked for."""
    place = place_of(request)
    try:
        entry = _file(place)
        try:
            ranges = parse_ranges(request.headers.get("range"), entry.size)
        except UnsatisfiableError:
            raise ServiceError(
                416, "RangeNotSatisfiable", "Range not satisfiable", headers={"Content-Range": f"bytes */{entry.size}"}
            ) from None
        # Opened here, so that what cannot be read is refused before the first byte is sent, and what is replaced or
        # removed from then on is sent as it was.
        reader = place.storage.open_read(place.path)
    except StorageError as error:
        raise refused(error) from None
    headers = _headers(request, entry)
    kind = mimetypes.guess_type(entry.name)[0] or _BINARY
    if len(ranges) > 1:
        reader.close()
        return _several(request, place, ranges, kind, headers)
    part = ranges[0] if ranges else (0, entry.size - 1)
    headers["Content-Length"] = str(part[1] - part[0] + 1)
    if ranges:
        headers["Content-Range"] = content_range(part)
    if request.method == "HEAD" or not entry.size:
        reader.close()
        return Answer(b"", 200 if not ranges else 206, headers, kind)
    return Answer(read_range(lambda: reader, part), 206 if ranges else 200, headers, kind)


def _several(request: ServiceRequest, place: Place, ranges: list[Range], kind: str, headers: dict[str, str]) -> Answer:
    multipart = Multipart(ranges, kind, boundary := request.request_id)
    headers["Content-Length"] = str(multipart.length)
    body = b"" if request.method == "HEAD" else multipart.read(partial(place.storage.open_read, place.path))
    return Answer(body, 206, headers, f"multipart/byteranges; boundary={boundary}")


def _headers(request: ServiceRequest, entry: Entry) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{entry.size:x}-{int(entry.modified * 1_000_000):x}"',
        "Last-Modified": formatdate(entry.modified, usegmt=True),
    }
    if "download" in request.query:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(entry.name, safe='')}"
    return headers


def _file(place: Place) -> Entry:
    """Return the entry of what must be a file."""
    entry = place.storage.stat(place.path)
    if entry.is_dir:
        raise StorageError("IS_A_DIRECTORY", "Is a directory", place.path)
    if entry.kind != "file":
        raise StorageError("NOT_A_FILE", "Not a regular file", place.path)
    return entry


def write(request: ServiceRequest) -> Answer:
    """Put a whole file in its place, instead of the one that is there."""
    place = place_of(request)
    if "content-range" in request.headers:
        raise NotServed("PUT of a part of a file")
    try:
        if request.path.endswith("/"):
            raise StorageError("IS_A_DIRECTORY", "Is a directory", place.path)
        _require_directory(place)
        with place.storage.open_write(place.path) as writer:
            while request.upload is not None and (piece := request.upload.read(CHUNK_BYTES)):
                writer.write(piece)
            writer.commit()
    except StorageError as error:
        raise refused(error) from None
    request.world.transfer.listings.forget()
    return Answer(b"", content_type=_BINARY)


def _require_directory(place: Place) -> None:
    """Refuse a missing directory, where there are such: a storage of objects, which cannot rename, has none."""
    above = place.path.rsplit("/", 1)[0] or "/"
    if place.storage.supports_rename and not place.storage.stat(above).is_dir:
        raise StorageError("NOT_A_DIRECTORY", "Not a directory", above)


def delete(request: ServiceRequest) -> Answer:
    """Remove a file."""
    place = place_of(request)
    try:
        _file(place)
        place.storage.remove_file(place.path)
    except StorageError as error:
        raise refused(error) from None
    request.world.transfer.listings.forget()
    return Answer(b"", content_type=_BINARY)


# The path begins with its slash, and may be nothing.
_PATH = "/https/{collection_id}{path:path}"
# Public, because each path of a collection says for itself who has to log in.
_ROUTES = (
    Route("GET", _PATH, read, public=True, basis=Basis.DOCUMENTED),
    Route("HEAD", _PATH, read, public=True, basis=Basis.DOCUMENTED),
    Route("PUT", _PATH, write, public=True, basis=Basis.DOCUMENTED),
    # That collections may allow it is documented; nobody has said what it answers.
    Route("DELETE", _PATH, delete, public=True, basis=Basis.ASSUMED),
)

SERVICE = Service(
    name="https",
    prefixes=("/https/",),
    routes=_ROUTES,
    render_error=render,
    confirmed_codes=CONFIRMED,
    unauthenticated_code=UNAUTHENTICATED,
    forbidden_code=FORBIDDEN,
    whole=True,
    takes_files=True,
)

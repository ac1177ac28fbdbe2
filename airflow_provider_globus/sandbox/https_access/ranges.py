"""Parts of files: the ``Range`` header, and the bytes it asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.storage.base import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_globus.sandbox.storage.base import Reader

_RANGE = re.compile(r"(\d*)-(\d*)")
#: More parts than any reader asks for at once; an answer to a million of them would be an attack on ourselves.
_MOST_RANGES = 100

Range = tuple[int, int]


class UnsatisfiableError(ValueError):
    """No byte of the file is in what was asked for."""


def parse_ranges(header: str | None, size: int) -> list[Range]:
    """
    Return the first and last byte of each part that a ``Range`` header asks for; none means: the whole file.

    A header that cannot be read is as none, as HTTP has it. The last bytes of a file (``bytes=-8``) are refused: so do
    Connect Servers, as has been observed.

    :raises UnsatisfiableError: for parts that begin behind the end.
    """
    unit, _, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes":
        return []
    found = [_RANGE.fullmatch(part.strip()) for part in text.split(",")]
    if len(found) > _MOST_RANGES:
        return []
    ranges: list[Range] = []
    for match in found:
        if match is None or match.group(0) == "-":
            return []
        if not match.group(1):
            raise UnsatisfiableError
        first, last = int(match.group(1)), int(match.group(2) or size - 1)
        if last < first and match.group(2):
            return []
        if first < size:
            ranges.append((first, min(last, size - 1)))
    if not ranges:
        raise UnsatisfiableError
    return ranges


def content_range(part: Range) -> str:
    """Return the ``Content-Range`` of a part. The size of the file is left open, as observed of Connect Servers."""
    return f"bytes {part[0]}-{part[1]}/*"


def read_range(opened: Callable[[], Reader], part: Range) -> Iterator[bytes]:
    """Yield the bytes of one part, in pieces of bounded size."""
    first, last = part
    reader = opened()
    try:
        _skip(reader, first)
        left = last - first + 1
        while left > 0 and (piece := reader.read(min(left, CHUNK_BYTES))):
            left -= len(piece)
            yield piece
    finally:
        reader.close()


def _skip(reader: Reader, count: int) -> None:
    """Pass over bytes: storages that cannot jump have to read them."""
    if (seek := getattr(reader, "seek", None)) is not None:
        seek(count)
        return
    while count > 0 and (piece := reader.read(min(count, CHUNK_BYTES))):
        count -= len(piece)


class Multipart:
    """
    Several parts in one answer (``multipart/byteranges``).

    :param boundary: what separates the parts.
    """

    def __init__(self, parts: list[Range], content_type: str, boundary: str) -> None:
        self._parts = parts
        self._content_type = content_type
        self._boundary = boundary

    @property
    def length(self) -> int:
        """Bytes of the answer."""
        return sum(len(self._head(part)) + part[1] - part[0] + 1 for part in self._parts) + len(self._tail)

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()

    def _head(self, part: Range) -> bytes:
        lines = (
            "",
            f"--{self._boundary}",
            f"Content-Type: {self._content_type}",
            f"Content-Range: {content_range(part)}",
        )
        return "\r\n".join((*lines, "", "")).encode()

    def read(self, opened: Callable[[], Reader]) -> Iterator[bytes]:
        """Yield the answer, in pieces of bounded size."""
        for part in self._parts:
            yield self._head(part)
            yield from read_range(opened, part)
        yield self._tail

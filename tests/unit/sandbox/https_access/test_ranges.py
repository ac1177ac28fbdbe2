"""What a ``Range`` header asks for."""

from __future__ import annotations

import pytest

from airflow_provider_globus.sandbox.https_access.ranges import UnsatisfiableError, parse_ranges


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        (None, []),
        ("bytes=0-3", [(0, 3)]),
        ("bytes=5-", [(5, 9)]),
        ("bytes=5-500", [(5, 9)]),
        (" Bytes = 0-0 , 2-3", [(0, 0), (2, 3)]),
        ("bytes=0-1,500-", [(0, 1)]),
        # What cannot be read is as if it was not there.
        ("bytes=3-1", []),
        ("bytes=a-b", []),
        ("bytes=-", []),
        ("lines=1-2", []),
        ("bytes", []),
        ("bytes=" + ",".join("0-0" for _ in range(101)), []),
    ],
)
def test_parts(header: str | None, ranges: list[tuple[int, int]]) -> None:
    assert parse_ranges(header, 10) == ranges


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12,11-", "bytes=-8"])
def test_nothing_to_answer_with(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        parse_ranges(header, 10)

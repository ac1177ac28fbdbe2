"""JSON that clients send: what Python would take and the standard does not."""

from __future__ import annotations

import pytest

from airflow_provider_globus.sandbox.json_text import MOST_LEVELS, read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e999]", "1e999 is too large"),
        (b"[-1e999]", "-1e999 is too large"),
        (b"[" + b"9" * 5000 + b"]", "digits"),
        (b"[" * 100_000, "levels deep"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "levels deep"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\uDC00": 1}', "surrogate"),
        (b'["\xed\xa0\x80"]', "utf-8"),
        (b'["\xff"]', "utf-8"),
        ("{}".encode("utf-16"), "utf-8"),
        (b"", "Expecting value"),
    ],
)
def test_what_could_not_be_kept_or_shown_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(text)


def test_what_the_standard_has_is_read() -> None:
    assert read(b'{"a": [1.5, 1e300, -0, null, "\\ud83d\\ude00"]}') == {"a": [1.5, 1e300, 0, None, "\U0001f600"]}
    assert read(b"[" * MOST_LEVELS + b"]" * MOST_LEVELS)
    assert read(str(10**400).encode()) == 10**400

"""The same arguments have the same digest in another process, and others have another."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_globus.operators.fingerprint import digest


class Plain:
    """Its repr names an address."""


def test_objects_without_a_repr_do_not_change_by_themselves() -> None:
    assert digest({"a": Plain()}) == digest({"a": Plain()})


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 2), ({1}, {2}), (b"a", b"b"), (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)), (range(2), range(3))],
)
def test_other_arguments_have_another_digest(one: Any, other: Any) -> None:
    assert digest({"a": one}) == digest({"a": one})
    assert digest({"a": one}) != digest({"a": other})


def test_a_lazy_sequence_counts_as_its_items() -> None:
    assert digest({"a": range(3)}) == digest({"a": [0, 1, 2]})


def test_sets_are_the_same_in_every_process() -> None:
    code = "from airflow_provider_globus.operators.fingerprint import digest; print(digest({'a': set('abcdefgh')}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1

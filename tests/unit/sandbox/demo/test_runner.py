"""The demo empties only folders of its own, one demo at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.demo.runner import DemoFailedError, own_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DemoFailedError, match="not made by a demo"), own_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with own_folder(folder):
        (folder / "scratch").mkdir()
        (folder / "scratch" / "old").write_text("old")
    assert (folder / "scratch" / "old").exists()
    with own_folder(folder):
        assert not (folder / "scratch").exists()


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with own_folder(folder):
        (folder / "scratch").mkdir()
        with pytest.raises(DemoFailedError, match="another demo"), own_folder(folder):
            pass
        assert (folder / "scratch").exists()

"""Assets at Globus: what names one, and how Airflow and OpenLineage see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset

from airflow_provider_globus.assets import asset_uri, convert_asset_to_openlineage, globus_asset, parse

if TYPE_CHECKING:
    from collections.abc import Callable

UUID = "1E26b8A2-0e4f-4c2a-9f5a-6b1a2c3d4e5f"


@pytest.mark.parametrize(
    ("collection", "path", "uri"),
    [
        ("scratch", "/raw/scans/", "globus://scratch/raw/scans"),
        (UUID, "/raw", f"globus://{UUID.lower()}/raw"),
        ("hpc.scratch-2_b", "/", "globus://hpc.scratch-2_b"),
        ("scratch", "//raw//a/./b", "globus://scratch/raw/a/b"),
        ("scratch", "/~/naïve name#1?.h5", "globus://scratch/~/na%C3%AFve%20name%231%3F.h5"),
    ],
)
def test_a_file_has_one_uri_however_it_is_written(collection: str, path: str, uri: str) -> None:
    assert globus_asset(collection, path).uri == uri
    # Airflow normalises with what the provider registers.
    assert Asset(uri=asset_uri(collection, path)).uri == uri


def test_a_uri_is_read_back() -> None:
    assert parse(globus_asset("scratch", "/~/naïve name#1?.h5").uri) == ("scratch", "/~/naïve name#1?.h5")
    assert parse(globus_asset("scratch", "/").uri) == ("scratch", "/")
    assert parse("s3://bucket/key") is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Asset(uri="globus:///raw"), "names no collection"),
        (lambda: globus_asset("My scratch", "/raw"), "names no collection"),
        (lambda: Asset(uri="globus://scratch/raw?x=1"), "a query"),
        (lambda: globus_asset("scratch", "raw"), "is relative"),
        (lambda: globus_asset("scratch", "/raw/../etc"), "leads upwards"),
    ],
)
def test_what_names_no_place_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_a_name_and_facts_go_with_it() -> None:
    asset = globus_asset("scratch", "/raw", name="raw scans", group="beamline", extra={"owner": "lab"})
    assert (asset.name, asset.group, asset.extra) == ("raw scans", "beamline", {"owner": "lab"})


def test_a_hook_can_report_what_it_has_seen() -> None:
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    kwargs = {"collection": "scratch", "path": "/raw"}
    made = get_hook_lineage_collector().create_asset(
        scheme="globus", uri=None, name=None, group=None, asset_kwargs=kwargs, asset_extra={"owner": "lab"}
    )
    assert (made.uri, made.extra) == ("globus://scratch/raw", {"owner": "lab"})


def test_openlineage_sees_a_dataset() -> None:
    pytest.importorskip("openlineage")
    dataset = convert_asset_to_openlineage(globus_asset("scratch", "/raw scans"), None)
    assert dataset
    assert (dataset.namespace, dataset.name) == ("globus://scratch", "/raw scans")
    assert convert_asset_to_openlineage(Asset(uri="s3://bucket/key"), None) is None

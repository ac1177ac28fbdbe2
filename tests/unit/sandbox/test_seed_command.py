"""The command ``seed``: seeds are checked without a trace, and put into sandboxes that know neither file nor folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.sandbox.__main__ import main
from airflow_provider_globus.sandbox.local_airflow import free_ports
from airflow_provider_globus.sandbox.seed import Seed

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_globus.sandbox import GlobusSandbox

SEED = """
settings: {task_seconds: 3}
clients:
  - {name: pipeline, secret_env: PIPELINE_SECRET}
identities:
  - username: ada@example.org
    refresh_tokens: [{data_access: [instrument], value_env: ADA_TOKEN}]
collections:
  - {name: Beamline 7, alias: instrument, root: ./instrument}
  - {name: Archive, alias: archive, root: "s3://archive/raw", s3_endpoint_url: "http://127.0.0.1:9"}
compute_endpoints:
  - {name: HPC, alias: hpc, folder: hpc}
flows:
  - {title: Publish, definition_file: publish.json}
connect_server: {posix_folder: posix}
"""
FLOW = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIPELINE_SECRET", "secret-from-the-environment")
    monkeypatch.setenv("ADA_TOKEN", "token-from-the-environment")
    path = tmp_path / "here/seed.yaml"
    path.parent.mkdir()
    path.write_text(SEED)
    (path.parent / "publish.json").write_text(json.dumps(FLOW))
    return path


def test_a_running_sandbox_needs_neither_the_folder_nor_the_environment(
    seed: Path, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = Seed.load(seed).resolved()
    monkeypatch.delenv("PIPELINE_SECRET")
    monkeypatch.delenv("ADA_TOKEN")
    monkeypatch.chdir("/")
    Seed.load(document).apply(globus_sandbox.world)
    world, here = globus_sandbox.world, seed.parent
    assert world.settings.task_seconds == 3
    assert str(world.transfer.find("instrument").root) == str(here / "instrument")
    assert str(world.transfer.find("archive").root) == "s3://archive/raw"
    assert world.compute.find("hpc").folder == here / "hpc"
    assert world.auth.refresh_token("token-from-the-environment")
    assert [flow.definition for flow in world.flows.flows.values()] == [FLOW]
    assert (here / "posix").is_dir()


def test_the_command_puts_it_there_and_a_reset_can_go_back_to_it(
    seed: Path, globus_sandbox: GlobusSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["seed", str(seed), "--url", globus_sandbox.url + "/"]) == 0
    said = capsys.readouterr().out
    assert "1 clients, 1 identities, 2 collections, 1 Compute endpoints, 1 flows. It now has:" in said
    assert "secret" not in said.replace(str(seed), "")
    globus_sandbox.reset()
    with pytest.raises(ValueError, match="instrument"):
        globus_sandbox.world.transfer.find("instrument")


def test_a_mark_is_handed_on(
    seed: Path, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marked: list[bool] = []
    monkeypatch.setattr(globus_sandbox.world, "mark", lambda: marked.append(True))
    assert main(["seed", str(seed), "--url", globus_sandbox.url]) == 0
    assert marked == []
    globus_sandbox.reset()
    assert main(["seed", str(seed), "--url", globus_sandbox.url, "--mark"]) == 0
    assert marked == [True]


def test_a_check_leaves_nothing_behind(seed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed", "--check", str(seed)]) == 0
    assert capsys.readouterr().out.startswith(f"{seed} is good: 1 clients,")
    assert sorted(path.name for path in seed.parent.iterdir()) == ["publish.json", "seed.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("collection: []", "has no collection; it may have"),
        ("collections: [{}]", "collections, entry 1 needs name"),
        ("clients: [{name: a, secret_env: NOT_SET_ANYWHERE}]", "NOT_SET_ANYWHERE, which is not set"),
        ("flows: [{title: a, definition_file: none.json}]", "flow 'a': "),
        ("flows: [{title: a, definition: {}}]", "flow 'a': "),
        ("rules: [{collection: nowhere, path: /}]", "rule on 'nowhere'"),
        ("connect_server: {posix_folder: 5}", "connect_server: "),
        ("settings: {speed: 1}", "settings: There is no setting 'speed'"),
    ],
)
def test_a_bad_seed_is_refused_by_the_check(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(text)
    assert main(["seed", "--check", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("globus sandbox: ")
    assert said in shown.err


def test_what_the_sandbox_refuses_is_said(
    tmp_path: Path, globus_sandbox: GlobusSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("rules: [{collection: nowhere, path: /}]")
    assert main(["seed", str(path), "--url", globus_sandbox.url]) == 1
    assert f"globus sandbox: {globus_sandbox.url} refuses it: rule on 'nowhere'" in capsys.readouterr().err


def test_no_sandbox_there(seed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert main(["seed", str(seed), "--url", f"http://127.0.0.1:{port}"]) == 1
    assert f"No sandbox answers at http://127.0.0.1:{port}: start one" in capsys.readouterr().err


def test_the_port_may_come_from_the_environment(
    seed: Path, globus_sandbox: GlobusSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = globus_sandbox.url.rsplit(":", 1)[1]
    monkeypatch.setenv("GLOBUS_SANDBOX_PORT", port)
    assert main(["seed", str(seed)]) == 0
    assert main(["serve", "--print-env"]) == 0
    assert f"export GLOBUS_SDK_SERVICE_URL_TRANSFER={globus_sandbox.url}\n" in capsys.readouterr().out
    monkeypatch.setenv("GLOBUS_SANDBOX_PORT", "a port")
    with pytest.raises(SystemExit):
        main(["serve"])
    assert "invalid int value: 'a port'" in capsys.readouterr().err


def test_a_file_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["seed", "--check"])
    assert ended.value.code == 2
    assert "seed needs a FILE; --example prints one" in capsys.readouterr().err

"""``airflow globus sandbox …``: the sandbox's own commands, with their signals, status and words."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml
from airflow.cli import cli_parser

from airflow_provider_globus.sandbox.__main__ import _parser as sandbox_parser
from airflow_provider_globus.sandbox.demo.__main__ import _parser as demo_parser
from airflow_provider_globus.sandbox.seed_command import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox import GlobusSandbox

SCRIPT = Path(sys.executable).with_name("airflow-globus")
#: In its unit test mode, Airflow says so on standard output.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "AIRFLOW__CORE__UNIT_TEST_MODE"}


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as people do."""
    command = [str(SCRIPT), "sandbox", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


@pytest.fixture
def becomes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the process would become."""

    def becomes(*arguments: str) -> list[str]:
        became: list[list[str]] = []
        monkeypatch.setattr(os, "execv", lambda path, argv: became.append(argv))
        parsed = cli_parser.get_parser().parse_args(["globus", "sandbox", *arguments])
        parsed.func(parsed)
        (argv,) = became
        assert argv[:2] == [sys.executable, "-m"]
        return argv[2:]

    return becomes


def options(parser: argparse.ArgumentParser) -> dict[str, str]:
    """What a parser takes, with the help."""
    found = {}
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            said = (action.help or "") % vars(action) if "%(" in (action.help or "") else action.help or ""
            found[action.option_strings[-1] if action.option_strings else action.dest] = said
    return found


def subparser(parser: argparse.ArgumentParser, *names: str) -> argparse.ArgumentParser:
    for name in names:
        (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        parser = commands.choices[name]
    return parser


@pytest.mark.parametrize("command", ["serve", "seed"])
def test_it_takes_all_that_the_sandbox_takes(command: str) -> None:
    ours = options(subparser(cli_parser.get_parser(), "globus", "sandbox", command))
    theirs = options(subparser(sandbox_parser(), command))
    assert set(ours) == set(theirs)
    for name, said in theirs.items():
        default = re.search(r"\(default [^)]*\)", said)
        assert default is None or default[0] in ours[name], name


def test_it_takes_all_that_the_demo_takes() -> None:
    ours = options(subparser(cli_parser.get_parser(), "globus", "sandbox", "demo"))
    theirs = demo_parser()
    # The DAG is named without an option.
    assert {"--dag" if name == "dag" else name for name in ours} == set(options(theirs))
    assert f"(default {theirs.get_default('dag')})" in ours["dag"]
    assert f"(default {theirs.get_default('work')})" in ours["--work"]


def test_options_are_handed_on_as_they_were_given(becomes: Any) -> None:
    module = "airflow_provider_globus.sandbox"
    assert becomes("serve") == [module, "serve"]
    given = ["--port", "0", "--tls-port", "1", "--ca-file", "c", "--host", "::1", "--seed", "s.yaml", "--clock-scale"]
    given += ["2", "--random-seed", "-x y", "--quiet", "--print-env", "--allow-non-loopback"]
    given[given.index("--random-seed") : given.index("--quiet")] = ["--random-seed=-x y"]
    assert becomes("serve", *given) == [
        *(module, "serve", "--port=0", "--tls-port=1", "--ca-file=c", "--host=::1", "--seed=s.yaml"),
        *("--clock-scale=2", "--random-seed=-x y", "--quiet", "--print-env", "--allow-non-loopback"),
    ]
    assert becomes("seed", "--example") == [module, "seed", "--example"]
    assert becomes("seed", "s.yaml", "--check", "--url", "http://x", "--mark") == [
        *(module, "seed", "--check", "--url=http://x", "--mark", "--", "s.yaml")
    ]
    assert becomes("demo") == [f"{module}.demo"]
    assert becomes("demo", "tomography", "--ui", "--dags", "d", "--work", "w") == [
        *(f"{module}.demo", "--dag=tomography", "--ui", "--dags=d", "--work=w")
    ]


@pytest.fixture
def serving() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sandbox that the command serves, and its URL."""
    command = [str(SCRIPT), "sandbox", "serve", "--port", "0", "--quiet"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        assert first.startswith("Globus sandbox "), first
        yield process, first.split(" at ")[1].split()[0]
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it(number: signal.Signals, serving: tuple[subprocess.Popen[str], str]) -> None:
    process, url = serving
    assert requests.get(f"{url}/_sandbox/health", timeout=10).json()["status"] == "ok"
    # The process that was started is the sandbox: no other is left behind.
    assert b"airflow_provider_globus.sandbox" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    process.send_signal(number)
    assert process.stdout
    assert process.stdout.read().endswith("Globus sandbox stopped\n")
    assert process.wait(30) == 0


def test_its_status_and_words_are_the_sandbox_s() -> None:
    ended = run("serve", "--seed", "/nowhere.yaml")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "globus sandbox: Cannot read the seed /nowhere.yaml: No such file or directory\n"


def test_an_example_can_be_checked_and_put_into_a_sandbox(globus_sandbox: GlobusSandbox, tmp_path: Path) -> None:
    shown = run("seed", "--example")
    assert (shown.returncode, shown.stdout) == (0, EXAMPLE)
    (tmp_path / "seed.yaml").write_text(shown.stdout)
    checked = run("seed", "--check", "seed.yaml", cwd=tmp_path)
    assert checked.stdout == "seed.yaml is good: 1 identities, 3 collections, 1 Compute endpoints, 1 access rules.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["seed.yaml"]
    put = run("seed", "seed.yaml", "--url", globus_sandbox.url, cwd=tmp_path)
    assert (put.returncode, put.stderr) == (0, "")
    instrument = globus_sandbox.world.transfer.find("instrument")
    assert f"# collection instrument: {instrument.id} {tmp_path / 'instrument'}" in put.stdout
    assert "# Compute endpoint hpc: " in put.stdout


@pytest.mark.parametrize("extra", ["sandbox", "demo"])
def test_an_extra_that_is_not_installed_is_named(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: Any
) -> None:
    metadata = tmp_path / "airflow_provider_globus-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: airflow-provider-globus\nVersion: 1\nProvides-Extra: demo\n"
        "Provides-Extra: sandbox\nRequires-Dist: not-needed\n"
        "Requires-Dist: boto3>=1000; extra == 'sandbox'\nRequires-Dist: pydantic; extra == 'sandbox'\n"
        "Requires-Dist: no-such-thing; extra == 'demo'\n"
        "Requires-Dist: airflow-provider-globus[sandbox]; extra == 'demo'\n"
    )
    ours = PathDistribution(metadata)
    monkeypatch.setattr(
        "airflow_provider_globus.cli.sandbox.distribution",
        lambda name: ours if name == "airflow-provider-globus" else distribution(name),
    )
    with pytest.raises(SystemExit) as ended:
        becomes({"sandbox": "serve", "demo": "demo"}[extra])
    lacking = {"sandbox": "boto3", "demo": "boto3, no-such-thing"}[extra]
    assert str(ended.value.code) == (
        f"This needs packages that are not installed ({lacking}): "
        f"pip install 'airflow-provider-globus[{extra}]' in the environment of {sys.executable}."
    )


def test_the_demo_says_where_example_dags_are(tmp_path: Path) -> None:
    ended = run("demo", "--dags", str(tmp_path), cwd=tmp_path)
    assert ended.returncode == 2
    assert f"there is no instrument_to_archive.py in {tmp_path}: the example DAGs are in the repository" in ended.stderr
    assert "name it with --dags" in ended.stderr
    assert not (tmp_path / ".demo").exists()


def test_the_demo_of_an_installed_package_says_so_too(tmp_path: Path) -> None:
    """Beside an installed package there is no folder of examples."""
    package = Path(__file__).resolve().parents[3] / "airflow_provider_globus"
    shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "airflow_provider_globus.sandbox.demo"]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert f"in {tmp_path / 'example_dags'}: the example DAGs are in the repository" in ended.stderr


def test_the_example_is_a_seed_of_its_own() -> None:
    assert set(yaml.safe_load(EXAMPLE)) == {"collections", "compute_endpoints", "identities", "rules"}

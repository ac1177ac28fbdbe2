"""Seeds: what they make, how they keep secrets out of the file, and how they say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import globus_sdk
import pytest

from airflow_provider_globus.sandbox import GlobusSandbox
from airflow_provider_globus.sandbox.seed import SeedError

if TYPE_CHECKING:
    from pathlib import Path

SEED = """
settings: {token_lifetime_seconds: 600, rate_limit_per_second: 20}
clients:
  - {name: pipeline, secret_env: PIPELINE_SECRET}
  - {name: native, public: true}
identities:
  - {username: bob@example.org, id: 11111111-2222-4333-8444-555555555555}
  - username: ada@example.org
    name: Ada
    refresh_tokens:
      - {data_access: [instrument], value_env: ADA_TOKEN}
      - {scopes: openid email, value: fixed}
collections:
  - {name: Beamline 7, alias: instrument, root: ./instrument, owner: ada@example.org}
  - {name: Laptop, root: laptop, kind: personal}
  - {name: Shared, kind: guest, host: instrument, base_path: /results}
compute_endpoints:
  - name: HPC cluster
    alias: hpc
    folder: ./hpc
    workers: 4
    owner: ada@example.org
    public: true
    env: {ACCOUNT_FILE: /etc/account}
    memory_limit_bytes: 1073741824
    allowed_functions: [11111111-2222-4333-8444-555555555556]
    user_config_schema: {type: object}
  - {name: MPI, mpi: true, multi_user: true, online: false, task_folders: false}
rules:
  - {collection: Shared, path: /, principal: bob@example.org, permissions: rw}
faults:
  - {service: search, status: 503}
"""


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIPELINE_SECRET", "secret-from-the-environment")
    monkeypatch.setenv("ADA_TOKEN", "token-from-the-environment")
    path = tmp_path / "seed.yaml"
    path.write_text(SEED)
    return path


def test_a_seed_makes_all_it_names(seed: Path, tmp_path: Path) -> None:
    with GlobusSandbox(seed=seed) as sandbox:
        auth, transfer = sandbox.world.auth, sandbox.world.transfer
        assert sandbox.settings.token_lifetime_seconds == 600
        pipeline = transfer_client_of(sandbox, "pipeline", "secret-from-the-environment")
        assert pipeline.get_submission_id()["value"]
        bob = auth.identity_by_username("bob@example.org")
        assert bob is not None
        assert bob.id == "11111111-2222-4333-8444-555555555555"
        ada = auth.identity_by_username("ada@example.org")
        assert ada is not None
        assert ada.name == "Ada"
        instrument = transfer.find("instrument")
        assert instrument.owner_id == ada.id
        assert (tmp_path / "instrument").is_dir()
        assert transfer.find("Laptop").kind == "personal"
        shared = transfer.find("Shared")
        assert shared.host is instrument
        assert [(rule.principal, rule.permissions) for rule in shared.rules.values()] == [(bob.id, "rw")]
        hpc, mpi = sandbox.world.compute.find("hpc"), sandbox.world.compute.find("MPI")
        assert (hpc.name, hpc.folder, hpc.workers, hpc.owner_id) == ("HPC cluster", tmp_path / "hpc", 4, ada.id)
        assert (hpc.public, hpc.env, hpc.memory_limit_bytes) == (True, {"ACCOUNT_FILE": "/etc/account"}, 1 << 30)
        assert hpc.allowed_functions == frozenset({"11111111-2222-4333-8444-555555555556"})
        assert hpc.user_config_schema == {"type": "object"}
        assert hpc.folder.is_dir()
        assert (mpi.mpi, mpi.multi_user, mpi.online, mpi.task_folders) == (True, True, False, False)
        assert mpi.folder.is_dir()
        refresh = auth.refresh_token("token-from-the-environment")
        assert refresh is not None
        assert auth.caller_of(refresh).has_data_access(instrument.id)
        fixed = auth.refresh_token("fixed")
        assert fixed is not None
        assert fixed.scope == "openid email"
        assert [fault["service"] for fault in sandbox.faults.as_list()] == ["search"]


def transfer_client_of(sandbox: GlobusSandbox, name: str, secret: str) -> globus_sdk.TransferClient:
    clients = sandbox.world.auth.snapshot()["clients"]
    client_id = next(client["id"] for client in clients if client["name"] == name)
    login = globus_sdk.ConfidentialAppAuthClient(client_id, secret, base_url=sandbox.url)
    token = login.oauth2_client_credentials_tokens(requested_scopes=globus_sdk.TransferClient.scopes.all)
    authorizer = globus_sdk.AccessTokenAuthorizer(token["access_token"])
    return globus_sdk.TransferClient(authorizer=authorizer, base_url=sandbox.url)


def test_ids_are_the_same_in_every_run(seed: Path) -> None:
    def ids() -> list[str]:
        with GlobusSandbox(seed=seed) as sandbox:
            state = sandbox.world.snapshot()
        made = (*state["auth"]["identities"], *state["transfer"]["collections"], *state["compute"]["endpoints"])
        return [item["id"] for item in made]

    assert ids() == ids()


def test_a_reset_keeps_the_seed(seed: Path) -> None:
    with GlobusSandbox(seed=seed) as sandbox:
        sandbox.reset()
        assert sandbox.world.transfer.find("instrument").alias == "instrument"
        assert sandbox.world.compute.find("hpc").alias == "hpc"
        assert sandbox.settings.token_lifetime_seconds == 600
        assert sandbox.world.auth.refresh_token("fixed") is not None


def test_secrets_of_a_seed_are_masked_in_the_journal(seed: Path) -> None:
    with GlobusSandbox(seed=seed) as sandbox:
        client = transfer_client_of(sandbox, "pipeline", "secret-from-the-environment")
        client.task_list(filter="label:secret-from-the-environment token-from-the-environment")
        assert "from-the-environment" not in repr(sandbox.journal.entries)


def test_an_empty_file_is_an_empty_seed(tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text("# nothing yet\n")
    transfer = GlobusSandbox(seed=tmp_path / "seed.yaml").world.transfer
    assert list(transfer.collections.values()) == [transfer.endpoint]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"colections": []}, "has no colections; it may have clients, collections"),
        ({"collections": {}}, "collections must be a list"),
        ({"collections": ["x"]}, "collections, entry 1 must be a mapping"),
        ({"collections": [{"root": "/tmp"}]}, "collections, entry 1 needs name"),
        ({"collections": [{"name": "a", "folder": "/tmp"}]}, "collections, entry 1 has no folder; it may have alias"),
        ({"collections": [{"name": "a"}]}, "collection 'a': .*root"),
        ({"collections": [{"name": "a", "root": "/tmp", "kind": "odd"}]}, "collection 'a': .*odd"),
        ({"collections": [{"name": "a", "kind": "guest", "host": "b"}]}, "collection 'a': .*'b'"),
        ({"collections": [{"name": "a", "root": "/tmp", "owner": "nobody@x"}]}, "collection 'a': .*nobody@x"),
        ({"clients": [{"name": "a", "secret_env": "NOT_SET_ANYWHERE"}]}, "clients, entry 1: .*NOT_SET_ANYWHERE"),
        ({"identities": [{"username": "a"}, {"username": "A"}]}, "identity 'A': There already is"),
        (
            {"identities": [{"username": "a", "refresh_tokens": [{"scopes": "nonsense"}]}]},
            "refresh token of 'a': Unknown scopes: nonsense",
        ),
        (
            {"identities": [{"username": "a", "refresh_tokens": [{"data_access": ["gone"]}]}]},
            "refresh token of 'a': .*'gone'",
        ),
        ({"compute_endpoints": [{"folder": "/tmp"}]}, "compute_endpoints, entry 1 needs name"),
        ({"compute_endpoints": [{"name": "a", "root": "/tmp"}]}, "compute_endpoints, entry 1 has no root; it may have"),
        ({"compute_endpoints": [{"name": "a", "workers": 0}]}, "compute endpoint 'a': .*at least one worker"),
        ({"compute_endpoints": [{"name": "a", "owner": "nobody@x"}]}, "compute endpoint 'a': .*nobody@x"),
        ({"identities": [{"username": ["a"]}]}, "identities, entry 1: username must be text"),
        ({"search_indexes": [{"display_name": "a", "id": 7}]}, "search_indexes, entry 1: id must be text"),
        ({"compute_endpoints": [{"name": "a", "env": ["A=1"]}]}, "compute_endpoints, entry 1: env must be a mapping"),
        ({"rules": [{"collection": "gone", "path": "/"}]}, "rule on 'gone': .*'gone'"),
        ({"settings": {"speed": 1}}, "settings: There is no setting 'speed'"),
        ({"faults": [{"status": 503}, {"status": 1, "x": 1}]}, "faults, entry 2: A http fault has no x"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(seed: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=message):
        GlobusSandbox(seed=seed)


@pytest.mark.parametrize(
    ("text", "message"), [(None, "Cannot read the seed"), ("a: [", "not valid YAML"), ("- a", "must be a mapping")]
)
def test_a_bad_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "seed.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SeedError, match=message) as caught:
        GlobusSandbox(seed=path)
    assert str(path) in str(caught.value)


def test_the_folder_of_posix_gateways(tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text("connect_server: {posix_folder: ./posix}\n")
    assert GlobusSandbox(seed=tmp_path / "seed.yaml").world.connect_server.folder == tmp_path / "posix"
    assert (tmp_path / "posix").is_dir()
    with pytest.raises(SeedError, match="connect_server: it takes posix_folder"):
        GlobusSandbox(seed={"connect_server": {"folder": "posix"}})


def test_who_logged_in_with_a_second_factor() -> None:
    token = {"value": "its-refresh-token", "mfa": True}
    world = GlobusSandbox(seed={"identities": [{"username": "ada@example.org", "refresh_tokens": [token]}]}).world
    found = world.auth.refresh_token("its-refresh-token")
    assert found is not None
    assert found.mfa

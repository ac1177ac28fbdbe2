"""What a sandbox starts with, read from YAML::

    settings: {rate_limit_per_second: 20}
    clients:
      - {name: pipeline, id: 6f0c…, secret_env: PIPELINE_SECRET}
      - {name: portal, public: true, redirect_uris: ["http://localhost/callback"]}    # people log in to it
    identities:
      - username: ada@example.org
        refresh_tokens:
          - {data_access: [instrument], value_env: ADA_TOKEN}    # scopes: Transfer's, unless named
    groups:
      - {name: Beamline 7 team, members: [ada@example.org], policies: {group_visibility: authenticated}}
    collections:
      - {name: Beamline 7 instrument, alias: instrument, root: ./instrument}
      - {name: Archive, alias: archive, root: "s3://archive/raw", s3_endpoint_url: "http://127.0.0.1:9000",
         s3_access_key_id_env: ARCHIVE_KEY_ID, s3_secret_access_key_env: ARCHIVE_SECRET}
      - {name: Shared results, kind: guest, host: instrument, base_path: /results}
    compute_endpoints:
      - {name: HPC cluster, alias: hpc, folder: ./hpc, workers: 4, env: {OMP_NUM_THREADS: 1}}
      - {name: HPC MPI, alias: mpi, folder: ./hpc, mpi: true}
    flows:
      - {title: Publish, alias: publish, definition_file: ./publish.json, starters: [all_authenticated_users]}
    search_indexes:
      - {display_name: Catalogue, alias: catalogue, writers: [ada@example.org]}
    connect_server: {posix_folder: ./posix}    # what POSIX storage gateways made through the API show
    rules:
      - {collection: Shared results, path: /, principal: ada@example.org, permissions: r}
      - {collection: Shared results, path: /, principal_type: group, principal: Beamline 7 team, permissions: rw}
    faults:
      - {service: transfer, path: "/v0.10/task_list", status: 503, times: 2}

Any field may be written as ``<field>_env`` instead: its value then comes from that environment variable, so that no
secret needs to be in the file. Folders are relative to the file, and made when missing. What has no ``id`` gets one
made from its name, the same in every run.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_globus.sandbox.auth.scopes import TRANSFER_ALL, data_access_scope

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.world import World

_NAMESPACE = uuid.UUID("5a4db0c5-0000-4000-8000-000000005eed")

_FIELDS: dict[str, set[str]] = {
    "clients": {"name", "id", "secret", "public", "redirect_uris"},
    "identities": {"username", "id", "name", "email", "organization", "status", "refresh_tokens"},
    "groups": {
        "name",
        "id",
        "description",
        "members",
        "managers",
        "admins",
        "parent",
        "policies",
        "terms_and_conditions",
        "open_to_join",
        "subscription",
    },
    "refresh_tokens": {"scopes", "data_access", "client", "value", "mfa"},
    "collections": {
        "name",
        "alias",
        "id",
        "root",
        "kind",
        "host",
        "base_path",
        "s3_endpoint_url",
        "s3_access_key_id",
        "s3_secret_access_key",
        "high_assurance",
        "owner",
        "writable",
        "public",
        "default_directory",
    },
    "compute_endpoints": {
        "name",
        "alias",
        "id",
        "folder",
        "workers",
        "owner",
        "public",
        "allowed_functions",
        "multi_user",
        "user_config_schema",
        "mpi",
        "online",
        "env",
        "memory_limit_bytes",
        "task_folders",
    },
    "flows": {
        "title",
        "alias",
        "id",
        "definition",
        "definition_file",
        "input_schema",
        "input_schema_file",
        "owner",
        "viewers",
        "starters",
        "administrators",
        "run_managers",
        "run_monitors",
        "subtitle",
        "description",
        "keywords",
    },
    "search_indexes": {"display_name", "alias", "id", "description", "owner", "writers"},
    "rules": {"collection", "path", "principal", "principal_type", "permissions", "expiration_date"},
}
_REQUIRED = {
    "clients": ("name",),
    "identities": ("username",),
    "groups": ("name",),
    "refresh_tokens": (),
    "collections": ("name",),
    "compute_endpoints": ("name",),
    "flows": ("title",),
    "search_indexes": ("display_name",),
    "rules": ("collection", "path"),
}
# What a field must be that is handed on as it is; the others are looked at where they are used.
_MAPPINGS = {"env", "input_schema", "policies", "user_config_schema"}
# fmt: off
_TEXTS = {
    "alias", "base_path", "client", "collection", "default_directory", "definition_file", "description",
    "display_name", "email", "folder", "host", "id", "input_schema_file", "kind", "name", "organization", "owner",
    "path", "permissions", "principal", "principal_type", "root", "s3_access_key_id", "s3_endpoint_url",
    "s3_secret_access_key", "scopes", "secret", "status", "subtitle", "title", "username", "value",
}
# fmt: on
_SECTIONS = {*_FIELDS, "settings", "faults", "connect_server"} - {"refresh_tokens"}


class SeedError(ValueError):
    """A seed that cannot be used; says where and what to change."""


@dataclass(frozen=True)
class Seed:
    """A seed as read, and the folder its relative paths start from."""

    document: Mapping[str, Any]
    folder: Path

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any]) -> Seed:
        """Read a seed from a YAML file, or take it as a mapping."""
        if isinstance(source, Mapping):
            return cls(_checked_document(source, "seed"), Path.cwd())
        path = Path(source)
        try:
            document = yaml.safe_load(path.read_text())
        except OSError as error:
            raise SeedError(f"Cannot read the seed {path}: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise SeedError(f"The seed {path} is not valid YAML: {error}") from None
        return cls(_checked_document({} if document is None else document, str(path)), path.resolve().parent)

    def resolved(self) -> dict[str, Any]:
        """Return the document for a sandbox that has neither the file's folder nor this environment."""
        document = dict(self.document)
        for section in (section for section in _FIELDS if section in document):
            document[section] = [self._resolved_entry(section, entry) for entry in self._entries(section)]
        if isinstance(given := document.get("connect_server"), Mapping):
            document["connect_server"] = _located("connect_server", self._absolute, given, "posix_folder")
        return document

    def _resolved_entry(self, section: str, entry: dict[str, Any]) -> dict[str, Any]:
        if section == "identities" and "refresh_tokens" in entry:
            return entry | {"refresh_tokens": _filled("refresh_tokens", entry["refresh_tokens"])}
        if section == "flows":
            return dict(_located(f"flow {entry['title']!r}", self._with_files, entry))
        return self._absolute(entry, "root", "folder")

    def _absolute(self, entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
        paths = {name: entry[name] for name in names if entry.get(name)}
        local = {name: path for name, path in paths.items() if not str(path).startswith("s3://")}
        return {**entry, **{name: str(self.folder / Path(path).expanduser()) for name, path in local.items()}}

    def apply(self, world: World) -> None:
        """Put everything into a world."""
        _located("settings", world.settings.update, self.document.get("settings") or {})
        _located("connect_server", self._set_up_connect_server, world)
        for entry in self._entries("clients"):
            fields = {"id": _stable_id("client", entry["name"]), **entry}
            fields["redirect_uris"] = tuple(entry.get("redirect_uris") or ())
            _located(f"client {entry['name']!r}", lambda fields=fields: world.auth.add_client(**fields))
        tokens = [token for entry in self._entries("identities") for token in _add_identity(world, entry)]
        for entry in self._entries("groups"):
            fields = {"id": _stable_id("group", entry["name"]), **entry}
            _located(f"group {entry['name']!r}", lambda fields=fields: world.groups.add_group(**fields))
        for entry in self._entries("collections"):
            _located(f"collection {entry['name']!r}", self._add_collection, world, entry)
        for entry in self._entries("compute_endpoints"):
            _located(f"compute endpoint {entry['name']!r}", self._add_compute_endpoint, world, entry)
        for entry in self._entries("flows"):
            _located(f"flow {entry['title']!r}", self._add_flow, world, entry)
        for entry in self._entries("search_indexes"):
            fields = {"id": _stable_id("search index", entry["display_name"]), **entry}
            name = entry["display_name"]
            _located(f"search index {name!r}", lambda fields=fields: world.search.add_index(**fields))
        # Consents and rules speak of collections, which are there by now.
        for username, token in tokens:
            _located(f"refresh token of {username!r}", _add_refresh_token, world, username, token)
        for entry in self._entries("rules"):
            _located(f"rule on {entry['collection']!r}", _add_rule, world, entry)
        for number, fault in enumerate(self.document.get("faults") or [], 1):
            _located(f"faults, entry {number}", world.faults.add, fault)

    def _entries(self, section: str) -> list[dict[str, Any]]:
        entries = self.document.get(section)
        return _filled(section, [] if entries is None else entries)

    def _set_up_connect_server(self, world: World) -> None:
        given = self.document.get("connect_server")
        if given is None:
            return
        if not isinstance(given, Mapping) or set(given) != {"posix_folder"}:
            raise ValueError("it takes posix_folder, and nothing else")
        world.connect_server.set_folder(self._made(given["posix_folder"]))

    def _add_collection(self, world: World, entry: dict[str, Any]) -> None:
        fields = {"id": _stable_id("collection", entry["name"]), **entry}
        root = entry.get("root")
        if root and not str(root).startswith("s3://"):
            fields["root"] = self._made(root)
        world.transfer.add_collection(**fields)

    def _add_compute_endpoint(self, world: World, entry: dict[str, Any]) -> None:
        fields = {"id": _stable_id("compute endpoint", entry["name"]), **entry}
        if entry.get("folder"):
            fields["folder"] = self._made(entry["folder"])
        world.compute.add_endpoint(**fields)

    def _add_flow(self, world: World, entry: dict[str, Any]) -> None:
        fields = {"id": _stable_id("flow", entry["title"]), **self._with_files(entry)}
        if "definition" not in fields:
            raise ValueError("it needs a definition or a definition_file")
        world.flows.add_flow(**fields)

    def _with_files(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return a flow with what its files hold instead of their names."""
        fields = dict(entry)
        for name in ("definition", "input_schema"):
            if path := fields.pop(f"{name}_file", None):
                # JSON is YAML, too.
                fields[name] = yaml.safe_load((self.folder / Path(path).expanduser()).read_text())
        return fields

    def _made(self, path: Any) -> Path:
        """Return a folder of the seed, made when missing."""
        folder = self.folder / Path(path).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _checked_document(document: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise SeedError(f"{where} must be a mapping with {', '.join(sorted(_SECTIONS))}")
    if unknown := sorted(set(document) - _SECTIONS):
        raise SeedError(f"{where} has no {', '.join(unknown)}; it may have {', '.join(sorted(_SECTIONS))}")
    return document


def _filled(section: str, entries: Any) -> list[dict[str, Any]]:
    """Return the entries of a section with environment variables filled in and every field checked."""
    if not isinstance(entries, list):
        raise SeedError(f"{section} must be a list")
    filled = []
    for number, entry in enumerate(entries, 1):
        where = f"{section}, entry {number}"
        if not isinstance(entry, Mapping):
            raise SeedError(f"{where} must be a mapping")
        fields = _with_environment(entry, where)
        if unknown := sorted(set(fields) - _FIELDS[section]):
            raise SeedError(f"{where} has no {', '.join(unknown)}; it may have {', '.join(sorted(_FIELDS[section]))}")
        if missing := [name for name in _REQUIRED[section] if not fields.get(name)]:
            raise SeedError(f"{where} needs {', '.join(missing)}")
        for name, value in fields.items():
            if name in _MAPPINGS and not isinstance(value, Mapping | None):
                raise SeedError(f"{where}: {name} must be a mapping")
            if name in _TEXTS and not isinstance(value, str | None):
                raise SeedError(f"{where}: {name} must be text, not {value!r}")
        filled.append(fields)
    return filled


def _with_environment(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in entry.items():
        if not str(name).endswith("_env"):
            fields[name] = value
        elif value in os.environ:
            fields[str(name).removesuffix("_env")] = os.environ[value]
        else:
            raise SeedError(f"{where}: {name} names the environment variable {value}, which is not set")
    return fields


def _add_identity(world: World, entry: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Add an identity; return its refresh tokens, to be added later."""
    username = entry["username"]
    tokens = _filled("refresh_tokens", entry.pop("refresh_tokens", []))
    fields = {"id": _stable_id("identity", username), **entry}
    _located(f"identity {username!r}", lambda: world.auth.add_identity(**fields))
    return [(username, token) for token in tokens]


def _add_refresh_token(world: World, username: str, entry: Mapping[str, Any]) -> None:
    scopes = entry.get("scopes") or TRANSFER_ALL
    if consents := entry.get("data_access"):
        dependent = " ".join(f"*{data_access_scope(world.transfer.find(item).id)}" for item in consents)
        scopes = f"{scopes}[{dependent}]"
    more = {"client_id": entry["client"]} if "client" in entry else {}
    more |= {"mfa": bool(entry["mfa"])} if "mfa" in entry else {}
    world.auth.add_refresh_token(_identity_id(world, username), scopes, value=entry.get("value"), **more)


def _add_rule(world: World, entry: Mapping[str, Any]) -> None:
    principal = entry.get("principal")
    kind = entry.get("principal_type") or ("identity" if principal else "all_authenticated_users")
    if kind == "identity":
        principal = _identity_id(world, str(principal))
    elif kind == "group":
        principal = world.groups.find(str(principal)).id
    world.transfer.add_rule(
        world.transfer.find(entry["collection"]).id,
        path=entry["path"],
        principal_type=kind,
        principal=principal or "",
        permissions=entry.get("permissions") or "r",
        expiration_date=entry.get("expiration_date"),
    )


def _identity_id(world: World, wanted: str) -> str:
    """Return the id of the identity with this id or username."""
    identity = world.auth.identity(wanted) or world.auth.identity_by_username(wanted)
    if identity is None:
        raise SeedError(f"There is no identity {wanted!r}")
    return identity.id


def _stable_id(kind: str, name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))


def _located(where: str, do: Any, *arguments: Any) -> Any:
    try:
        return do(*arguments)
    except (OSError, TypeError, ValueError) as error:
        raise SeedError(f"{where}: {error}") from None

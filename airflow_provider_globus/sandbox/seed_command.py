"""``python -m airflow_provider_globus.sandbox seed``: print an example of a seed, check one, put one into a sandbox."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_globus.sandbox.seed import Seed, SeedError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

#: What to begin with; ``seed.py`` has all that there can be.
EXAMPLE = """\
# What a sandbox starts with. Folders are relative to this file, and made when missing.
# Any field may be written as <field>_env instead: its value then comes from that environment variable.

# DAGs name collections and Compute endpoints by these aliases.
collections:
  - {name: Beamline 7 instrument, alias: instrument, root: ./instrument}
  - {name: HPC scratch, alias: scratch, root: ./scratch}
  - {name: Shared results, alias: shared, kind: guest, host: scratch, base_path: /results}

compute_endpoints:
  - {name: HPC cluster, alias: hpc, folder: ./scratch, workers: 2}

identities:
  - {username: ada@example.org, name: Ada Example}

rules:
  - {collection: Shared results, path: /, principal: ada@example.org, permissions: r}
"""

_NAMES = {
    "clients": "clients",
    "identities": "identities",
    "groups": "groups",
    "collections": "collections",
    "compute_endpoints": "Compute endpoints",
    "flows": "flows",
    "search_indexes": "Search indexes",
    "rules": "access rules",
    "faults": "faults",
}
#: Sections whose entries have an alias by which DAGs name them, and where the state of a sandbox lists them.
_ALIASED = (
    ("collection", "transfer", "collections", "name"),
    ("Compute endpoint", "compute", "endpoints", "name"),
)


def run(options: argparse.Namespace) -> str:
    """Do what the options ask for, and return what to print. SeedError says what is wrong."""
    if options.example:
        return EXAMPLE
    document = Seed.load(options.file).resolved()
    held = _held(document)
    if options.check:
        _check(document)
        return f"{options.file} is good: {held}.\n"
    state = _put(document, options.url.rstrip("/"), mark=options.mark)
    return "\n".join([f"{options.url} has taken {options.file}: {held}. It now has:", *_aliases(state), ""])


def _held(document: Mapping[str, Any]) -> str:
    counts = Counter({name: len(document.get(section) or []) for section, name in _NAMES.items()})
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"


def _check(document: dict[str, Any]) -> None:
    """Put it into a world that nobody sees, with folders that are gone afterwards."""
    from airflow_provider_globus.sandbox.server import GlobusSandbox

    with tempfile.TemporaryDirectory() as folder:
        for section, name in (("collections", "root"), ("compute_endpoints", "folder")):
            for entry in document.get(section, []):
                if entry.get(name) and not str(entry[name]).startswith("s3://"):
                    entry[name] = folder
        if (document.get("connect_server") or {}).get("posix_folder"):
            document["connect_server"]["posix_folder"] = folder
        GlobusSandbox(seed=document).world.close()


def _put(document: dict[str, Any], url: str, *, mark: bool) -> dict[str, Any]:
    try:
        answer = requests.post(f"{url}/_sandbox/seed", json=document, params={"mark": str(mark).lower()}, timeout=60)
        if answer.status_code != 201:
            raise SeedError(f"{url} refuses it: {_reason(answer)}")
        state: dict[str, Any] = requests.get(f"{url}/_sandbox/state", timeout=60).json()
    except (requests.RequestException, ValueError) as error:
        if isinstance(error, SeedError):
            raise
        raise SeedError(
            f"No sandbox answers at {url}: start one with `serve`, or give its --url; --check needs none."
        ) from None
    return state


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (KeyError, TypeError, ValueError):
        return f"status {answer.status_code}; is it a sandbox?"


def _aliases(state: Mapping[str, Any]) -> list[str]:
    lines = []
    for noun, service, section, name in _ALIASED:
        for item in state[service][section]:
            place = Path(item["root"] if noun == "collection" else item["folder"])
            lines.append(f"# {noun} {item.get('alias') or item[name]}: {item['id']} {place}")
    return lines

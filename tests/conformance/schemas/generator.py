"""Makes JSON schemas of TypeScript types that Globus publishes with its JavaScript SDK (``@globus/sdk``, Apache-2.0).

The scripts beside it and in ``javascript`` say which types. They need Node.js and, in any folder::

    npm install @globus/sdk@6.2.0 ts-json-schema-generator@2
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any


def definitions(source: str, folder: Path, *options: str) -> dict[str, Any]:
    """Return the schemas of the types in a TypeScript text, by name.

    :param folder: where ``node_modules`` is.
    """
    with NamedTemporaryFile("w", suffix=".ts", dir=folder) as file:
        file.write(source)
        file.flush()
        made = subprocess.run(
            ["npx", "ts-json-schema-generator", "--path", file.name, "--no-type-check", *options],
            cwd=folder, check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(made.stdout)["definitions"]
    return found


def folder_of(types: Path) -> Path:
    """Return the folder in which the package of a file of types is installed."""
    parts = types.resolve().parts
    return Path(*parts[: parts.index("node_modules")])


def short(schema: Any, dropped: Collection[str]) -> Any:
    """Return a schema without keywords that tell people something, and a validator nothing."""
    if isinstance(schema, list):
        return [short(item, dropped) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: short(item, dropped) for name, item in value.items()}
        if key == "properties"
        else short(value, dropped)
        for key, value in schema.items()
        if key not in dropped
    }

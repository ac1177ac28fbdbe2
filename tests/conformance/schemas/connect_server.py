"""Makes `sandbox/connect_server/schemas.json` from the OpenAPI types of Connect Server's API.

Globus publishes the types with its JavaScript SDK (npm package ``@globus/sdk``, Apache-2.0). To make the schemas anew,
in an empty folder, with Node.js::

    npm install @globus/sdk@6.2.0 ts-json-schema-generator@2
    python connect_server.py node_modules/@globus/sdk/dist/esm/open-api/types/gcs/v5.4.d.ts > schemas.json
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_MEMBER = re.compile(r"^        (?P<name>\w+): (?P<type>.*?;)$(?=\n        (?:/\*\*|\w+:)|\n    \};)", re.M | re.S)
_REFERENCE = re.compile(r'components\["schemas"\]\["(\w+)"\]')
_READ_ONLY = re.compile(r"^            readonly (\w+)\??:", re.M)
_DROPPED = {"description", "deprecated", "default", "$comment", "title", "examples"}


def main() -> None:
    types = _REFERENCE.sub(r"\1", Path(sys.argv[1]).read_text())
    block = types[types.index("    schemas: {") : types.index("    responses: {")]
    members = {found["name"]: found["type"] for found in _MEMBER.finditer(block)}
    source = "\n".join(f"export type {name} = {text}" for name, text in members.items())
    with TemporaryDirectory() as folder:
        (Path(folder) / "types.ts").write_text(source)
        made = subprocess.run(
            ["npx", "ts-json-schema-generator", "--path", f"{folder}/types.ts", "--no-type-check"],
            check=True,
            stdout=subprocess.PIPE,
        )
    definitions = json.loads(made.stdout)["definitions"]
    for name, schema in definitions.items():
        # The types make what has a default look required, as it is in answers alone.
        defaulted = {field for field, about in schema.get("properties", {}).items() if "default" in about}
        schema["required"] = sorted(set(schema.get("required", ())) - (defaulted - {"DATA_TYPE"}))
        for field in _READ_ONLY.findall(members.get(name, "")):
            schema["properties"][field]["readOnly"] = True
    json.dump({"definitions": {name: _short(definitions[name]) for name in sorted(definitions)}}, sys.stdout, indent=1)


def _short(schema: Any) -> Any:
    """Leave out what tells people something, and a validator nothing."""
    if isinstance(schema, list):
        return [_short(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _short(item) for name, item in value.items()} if key == "properties" else _short(value)
        for key, value in schema.items()
        if key not in _DROPPED
    }


if __name__ == "__main__":
    main()

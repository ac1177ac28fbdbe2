"""Makes `sandbox/connect_server/schemas.json` from the OpenAPI types of Connect Server's API.

To make the schemas anew, with what `generator.py` needs installed in a folder, of which the types are named::

    python -m tests.conformance.schemas.connect_server node_modules/@globus/sdk/dist/esm/open-api/types/gcs/v5.4.d.ts
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.conformance.schemas import generator

_MEMBER = re.compile(r"^        (?P<name>\w+): (?P<type>.*?;)$(?=\n        (?:/\*\*|\w+:)|\n    \};)", re.M | re.S)
_REFERENCE = re.compile(r'components\["schemas"\]\["(\w+)"\]')
_READ_ONLY = re.compile(r"^            readonly (\w+)\??:", re.M)
_DROPPED = {"description", "deprecated", "default", "$comment", "title", "examples"}


def main() -> None:
    types = _REFERENCE.sub(r"\1", Path(sys.argv[1]).read_text())
    block = types[types.index("    schemas: {") : types.index("    responses: {")]
    members = {found["name"]: found["type"] for found in _MEMBER.finditer(block)}
    source = "\n".join(f"export type {name} = {text}" for name, text in members.items())
    definitions = generator.definitions(source, generator.folder_of(Path(sys.argv[1])))
    for name, schema in definitions.items():
        # The types make what has a default look required, as it is in answers alone.
        defaulted = {field for field, about in schema.get("properties", {}).items() if "default" in about}
        schema["required"] = sorted(set(schema.get("required", ())) - (defaulted - {"DATA_TYPE"}))
        for field in _READ_ONLY.findall(members.get(name, "")):
            schema["properties"][field]["readOnly"] = True
    kept = {name: generator.short(definitions[name], _DROPPED) for name in sorted(definitions)}
    json.dump({"definitions": kept}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

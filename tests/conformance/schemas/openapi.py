"""Makes JSON schemas of what a service answers from the OpenAPI types that Globus publishes.

To make them anew, with what `generator.py` needs installed in a folder, of which the types are named::

    python -m tests.conformance.schemas.openapi node_modules/@globus/sdk/dist/esm/open-api/types/groups.d.ts

Of Flows, what the repository globus/globus-sdk-javascript has at commit 109b7ab was added to the published file:
registered APIs, all roles, and ``/runs/{run_id}/log`` and ``/resume`` in full. Neither has web inputs.

The result holds ``answers``, the schema of each path, method and status, and the ``definitions`` that they refer to.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.conformance.schemas import generator

_REFERENCE = re.compile(r'(?:components\["(\w+)"\]|operations)\["([^"]+)"\]')
# What tells people something, and a validator nothing; and dates, which the generator takes for strings anyway.
_DROPPED = {"description", "deprecated", "default", "$comment", "title", "examples", "format"}


def main() -> None:
    """Print the schemas of the types in the file that is given."""
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    # Types of their own, by names that say where they were: the generator does not look into interfaces.
    source = [_REFERENCE.sub(lambda found: _name(found[1] or "operations", found[2]), text)]
    for kind in ("schemas", "responses", "parameters"):
        source += [f"export type {_name(kind, name)} = {body};" for name, body in _members(text, kind, 4)]
    source += [f"export type {_name('operations', name)} = {body};" for name, body in _members(text, "operations", 0)]
    text = "\n".join(_REFERENCE.sub(_renamed, part) for part in source)
    found = generator.definitions(text, generator.folder_of(Path(sys.argv[1])))
    definitions = {name: generator.short(schema, _DROPPED) for name, schema in found.items()}
    answers = _answers(definitions)
    kept = {name: definitions[name] for name in sorted(_reached(answers, definitions))}
    json.dump({"answers": answers, "definitions": kept}, sys.stdout, indent=1)


def _name(kind: str, name: str) -> str:
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"


def _renamed(found: re.Match[str]) -> str:
    return _name(found[1] or "operations", found[2])


def _members(text: str, block: str, indent: int) -> list[tuple[str, str]]:
    """Return the members of a block of type declarations, each with its type."""
    margin = " " * indent
    opening = re.search(rf"^(?:export interface {block}|{margin}{block}:) \{{$", text, re.M)
    if opening is None:
        return []
    closing = re.compile(rf"^{margin}\}};?$", re.M).search(text, opening.end())
    assert closing
    inside = text[opening.end() : closing.start()]
    begins = re.compile(rf'^{margin}    (?:"([^"]+)"|([\w$]+))\??: ', re.M)
    found = list(begins.finditer(inside))
    ends = [begin.start() for begin in found[1:]] + [len(inside)]
    bodies = (inside[begin.end() : end] for begin, end in zip(found, ends, strict=True))
    # What follows a member is the comment of the next.
    trimmed = (re.sub(r"\s*/\*\*(?:[^*]|\*(?!/))*\*/\s*\Z", "", body).rstrip().rstrip(";") for body in bodies)
    return [(begin[1] or begin[2], body) for begin, body in zip(found, trimmed, strict=True)]


def _answers(definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, about in definitions["paths"]["properties"].items():
        for method, operation in _resolved(about, definitions).get("properties", {}).items():
            responses = _resolved(operation, definitions).get("properties", {}).get("responses")
            for status, response in _resolved(responses or {}, definitions).get("properties", {}).items():
                content = _resolved(response, definitions).get("properties", {}).get("content", {})
                schema = content.get("properties", {}).get("application/json")
                if schema:
                    found.setdefault(path, {}).setdefault(method.upper(), {})[status] = schema
    return found


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _reached(schema: Any, definitions: dict[str, Any]) -> set[str]:
    """Return the names of the definitions that a schema refers to, directly or not."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        names = set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(waiting.pop()))) - found
        found |= names
        waiting += [definitions[name] for name in names]
    return found


if __name__ == "__main__":
    main()

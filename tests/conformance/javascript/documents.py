"""Transfer's and Auth's documents as the SDK's TypeScript declares them: these services publish no OpenAPI schemas.

Globus writes the declarations by hand after its documentation, so they vouch for no route; but a document that lacks
what they have, or has it otherwise, would break who programs by them. ``documents.json`` holds them as JSON schemas. To
make it anew, with what `schemas/generator.py` needs installed in a folder::

    python -m tests.conformance.javascript.documents <folder> > documents.json
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from tests.conformance.schemas import generator

_SERVICES = "node_modules/@globus/sdk/dist/esm/services"
_DECLARED = {
    "auth/service/identities/consents": ("Consent",),
    "transfer/service/access": ("AccessDocument", "AccessListDocument"),
    "transfer/service/collection-bookmarks": ("BookmarkDocument", "BookmarkListDocument"),
    "transfer/service/endpoint": ("EndpointDocument",),
    "transfer/service/endpoint-manager/pause-rule": ("PauseRuleDocument",),
    "transfer/service/endpoint-manager/task": ("AdminCancelDocument", "EndpointManagerTaskDocument"),
    "transfer/service/endpoint-search": ("EndpointSearchResult",),
    "transfer/service/file-operations": ("FileDocument", "FileListDocument"),
    "transfer/service/roles": ("RoleDocument", "RoleListDocument"),
    "transfer/service/task": (
        "SkippedErrorsListDocument",
        "SuccessfulTransfersListDocument",
        "TaskDocument",
        "TaskEventListDocument",
        "TaskListDocument",
    ),
    "transfer/service/task-submission": ("DeleteResult", "TransferResult"),
}
# What tells people something, and a validator nothing.
_DROPPED = {"description", "deprecated", "$comment"}


def main() -> None:
    """Print the schemas of the declarations in the SDK that is installed in the folder that is given."""
    lines = [
        f'import type {{ {", ".join(names)} }} from "./{_SERVICES}/{module}.js";' for module, names in _DECLARED.items()
    ]
    members = "; ".join(f"{name}: {name}" for names in _DECLARED.values() for name in names)
    source = "\n".join([*lines, f"export interface Documents {{ {members} }}"])
    definitions = generator.definitions(source, Path(sys.argv[1]), "--type", "Documents", "--additional-properties")
    schemas = definitions.pop("Documents")["properties"]
    found = {"documents": schemas, "definitions": definitions}
    json.dump({kind: generator.short(some, _DROPPED) for kind, some in found.items()}, sys.stdout, indent=1)


@cache
def _schemas() -> Any:
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def findings(name: str, document: Any) -> set[str]:
    """Return what a document has otherwise than declared; items of lists are named together."""
    schema = {**_schemas()["documents"][name], "definitions": _schemas()["definitions"]}
    errors = Draft7Validator(schema).iter_errors(document)
    return {f"{_where(error.absolute_path)}{error.message}" for error in errors}


def _where(path: Any) -> str:
    parts = [str(part) for part in path if isinstance(part, str)]
    return f"{'.'.join(parts)}: " if parts else ""


if __name__ == "__main__":
    main()

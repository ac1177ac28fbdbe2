"""Compares answers of the sandbox with the OpenAPI schemas of the services, by route and status.

The schemas are in the folder ``schemas``, made by the script there. Connect Server's are part of the sandbox, which
checks what it is sent with them; its answers are compared in `test_shapes_connect_server.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

from tests.conformance import evidence
from tests.conformance.evidence import Witness

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

_SCHEMAS = Path(__file__).parent / "schemas"
_PARAMETER = re.compile(r"\{[^}]*\}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class OpenApi:
    """The published schemas of what one service answers.

    :param service: the file in ``schemas``.
    :param wrong: what is not as the schema says, and why, by the message of the finding.
    :param unlisted: properties that answers have and the schemas, which list all, have not; and why, by name.
    """

    service: str
    wrong: Mapping[str, str] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((_SCHEMAS / f"{self.service}.json").read_text(encoding="utf-8"))
        return document

    @cached_property
    def _answers(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The schemas of each method and path, by status; parameters of paths have no names."""
        return {
            (method, _PARAMETER.sub("{}", path)): statuses
            for path, methods in self._document["answers"].items()
            for method, statuses in methods.items()
        }

    def check(self, sandbox: GlobusSandbox, headers: Mapping[str, str], answer: Any) -> bool:
        """Fail unless an answer is what its schema says; tell whether there is one.

        :param headers: of the answer, to find what it answered.
        """
        entry = evidence.entry_of(sandbox, headers)
        assert entry.route
        statuses = self._answers.get((entry.method, _PARAMETER.sub("{}", entry.route)))
        if statuses is None or (entry.status is not None and entry.status >= 400 and str(entry.status) not in statuses):
            return False
        assert str(entry.status) in statuses, (
            f"{entry.method} {entry.route} answers {list(statuses)}, not {entry.status}"
        )
        schema = {**statuses[str(entry.status)], "definitions": self._document["definitions"]}
        listed, unlisted = self._listed(answer)
        found = [_said(error) for error in Draft7Validator(schema).iter_errors(listed)]
        absent = sorted(set(self._absent(schema, answer, "")))
        evidence.note(
            "schema",
            service=self.service,
            method=entry.method,
            route=entry.route,
            status=entry.status,
            absent=absent,
            wrong={message: self.wrong[message] for message in found if message in self.wrong}
            | {f"not listed: {name}": self.unlisted[name] for name in sorted(unlisted)},
        )
        assert [message for message in found if message not in self.wrong] == []
        if (entry.status or 0) < 400:
            evidence.vouch(sandbox, headers, Witness.SCHEMA)
        return True

    def _listed(self, answer: Any) -> tuple[Any, set[str]]:
        """Return an answer without what the schemas leave out, and the names of that."""
        if isinstance(answer, list):
            items = [self._listed(item) for item in answer]
            return [item for item, _ in items], set().union(*(names for _, names in items))
        if not isinstance(answer, dict):
            return answer, set()
        kept = {name: self._listed(value) for name, value in answer.items() if name not in self.unlisted}
        left_out = {name for name in answer if name in self.unlisted}
        return {name: value for name, (value, _) in kept.items()}, left_out.union(
            *(names for _, names in kept.values())
        )

    def _absent(self, schema: dict[str, Any], answer: Any, where: str) -> Iterator[str]:
        """Yield the properties that a schema has and an answer has not."""
        while "$ref" in schema:
            schema = self._document["definitions"][schema["$ref"].rpartition("/")[2]]
        # Of several, what is absent from the one that fits.
        for kind in ("anyOf", "oneOf"):
            fitting = [one for one in schema.get(kind, ()) if self._fits(one, answer)]
            for one in fitting[:1]:
                yield from self._absent(one, answer, where)
        for one in schema.get("allOf", ()):
            yield from self._absent(one, answer, where)
        if isinstance(answer, list) and isinstance(schema.get("items"), dict):
            for item in answer:
                yield from self._absent(schema["items"], item, f"{where}[]")
        elif isinstance(answer, dict):
            for name, about in schema.get("properties", {}).items():
                if name in answer:
                    yield from self._absent(about, answer[name], f"{where}.{name}")
                else:
                    yield f"{where}.{name}"

    def _fits(self, schema: dict[str, Any], answer: Any) -> bool:
        return Draft7Validator({**schema, "definitions": self._document["definitions"]}).is_valid(answer)


def _said(error: Any) -> str:
    where = "".join("[]" if isinstance(part, int) else f".{part}" for part in error.path)
    # A message begins with the document, which may be long; ids, which keys may be, are different each time.
    return _ID.sub("{}", f"{where}: {_ID.sub('{}', error.message)[-200:]}")

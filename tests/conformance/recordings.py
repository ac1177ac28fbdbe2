"""Recorded answers of Globus, and scenarios that bring the sandbox to answer the same call.

Most recordings ship with the SDK (`globus_sdk.testing`); they are named by set and case, as in ``get_flow:default``.
Where the SDK has none, the folder ``quoted`` holds some of other public projects, each with its source.

A scenario is a function that brings the sandbox into the matching state, makes the call with the real SDK, and
returns what the SDK returns.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import GlobusAPIError
from globus_sdk.testing import get_response_set

from tests.conformance import evidence, shapes
from tests.conformance.evidence import Witness

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox
    from tests.conformance.openapi import OpenApi

QUOTED = Path(__file__).parent / "quoted"


@dataclass(frozen=True)
class Recording:
    """An answer of the real service."""

    name: str
    status: int
    document: Any


@dataclass(frozen=True)
class Recordings:
    """The recordings of one service.

    :param service: the service; its package in ``globus_sdk.testing.data``, its folder in ``quoted``.
    :param scenarios: the call of each recording of the SDK, by name.
    :param quoted: the call of each quoted recording, by the name of its file.
    :param unserved: sets that the sandbox does not serve, and why.
    :param stale: what recordings have that the service no longer answers, and what says so: by ``set:path``
        (``get_endpoint:.activated``) or, for every set, by path.
    :param extras: what answers have that recordings lack, and why, by ``set:path`` or path.
    :param explain: tells, of a property of an answer that is in no recording, why it is there; by path and the object
        that has it. None is no reason.
    :param free: properties whose contents differ from document to document, and are not looked into.
    :param openapi: the published schemas that answers are compared with as well.
    """

    service: str
    scenarios: Mapping[str, Callable[[Any], Any]]
    quoted: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    unserved: Mapping[str, str] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)
    explain: Callable[[str, dict[str, Any]], str | None] = lambda path, document: None
    free: tuple[str, ...] = ()
    openapi: OpenApi | None = None

    def names(self) -> list[str]:
        """Return the name of every recording of the SDK whose set is served."""
        return [
            f"{name}:{case}"
            for name in self.sets()
            if name not in self.unserved
            for case in get_response_set(f"{self.service}.{name}").cases()
        ]

    def sets(self) -> list[str]:
        """Return all sets that the SDK has of the service, served or not."""
        package = importlib.import_module(f"globus_sdk.testing.data.{self.service}")
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names = [module.name.removeprefix(f"{package.__name__}.") for module in found if not module.ispkg]
        # What begins with an underscore is shared by sets, and is none.
        return sorted(name for name in names if not name.rpartition(".")[2].startswith("_"))

    def check(self, name: str, site: Any, sandbox: GlobusSandbox) -> Any:
        """Make the call of one of the SDK's recordings, compare, and return the sandbox's answer.

        :param site: what scenarios are given.
        :raises AssertionError: the answers differ.
        """
        set_name, _, case = name.partition(":")
        shipped = shapes.recording(f"{self.service}.{set_name}", case)
        recording = Recording(name, shipped.status, shipped.json)
        return self._check(recording, self.scenarios[name], site, sandbox, Witness.RECORDED)

    def check_quoted(self, name: str, site: Any, sandbox: GlobusSandbox) -> Any:
        """Make the call of a quoted recording, compare, and return the sandbox's answer."""
        quoted = json.loads((QUOTED / self.service / f"{name}.json").read_text(encoding="utf-8"))
        assert quoted["source"]
        recording = Recording(name, quoted.get("status", 200), quoted["response"])
        return self._check(recording, self.quoted[name], site, sandbox, Witness.QUOTED)

    def _check(
        self, recording: Recording, call: Callable[[Any], Any], site: Any, sandbox: GlobusSandbox, witness: Witness
    ) -> Any:
        answer: Any
        if recording.status >= 400:
            with pytest.raises(GlobusAPIError) as raised:
                call(site)
            headers, answer = raised.value.headers, raised.value.raw_json
            told = (raised.value.http_status, error_code(answer))
            assert told == (recording.status, error_code(recording.document))
        else:
            # Recordings often have 200 where the service answers another success, which the SDK takes as well.
            response = call(site)
            headers, answer = response.headers, getattr(response, "full_data", response.data)
        self._compare(recording, answer, witness)
        # A refusal says nothing of the shape of what the route answers.
        if recording.status < 400:
            evidence.vouch(sandbox, headers, witness)
        if self.openapi:
            self.openapi.check(sandbox, headers, answer)
        return answer

    def _compare(self, recording: Recording, answer: Any, witness: Witness) -> None:
        set_name, _, case = recording.name.partition(":")
        lacking = shapes.lacking(recording.document, answer, free=self.free)
        reasons = {path: self._about(self.stale, set_name, path) for path in lacking}
        missing = [path for path, reason in reasons.items() if not reason]
        extra = {
            path: self._about(self.extras, set_name, path) or self.explain(path, document)
            for path, document in shapes.extra(recording.document, answer, free=self.free)
        }
        evidence.note(
            "recording",
            witness=witness,
            service=self.service,
            set=set_name,
            case=case,
            missing=missing,
            stale={path: reason for path, reason in reasons.items() if reason},
            extra=extra,
        )
        assert missing == []
        assert [path for path, reason in extra.items() if not reason] == []

    @staticmethod
    def _about(reasons: Mapping[str, str], set_name: str, path: str) -> str | None:
        return reasons.get(f"{set_name}:{path}") or reasons.get(path)

    def check_complete(self) -> None:
        """Fail unless every recording has its scenario, and every set that is not served says why."""
        assert set(self.scenarios) == set(self.names())
        folder = QUOTED / self.service
        assert set(self.quoted) == {file.stem for file in folder.glob("*.json")}
        assert set(self.unserved) <= set(self.sets())
        for name, why in self.unserved.items():
            evidence.note("unserved", service=self.service, set=name, why=why)


def error_code(document: Any) -> str | None:
    """Return the code of an error document, wherever its service puts it."""
    return next(_codes(document), None)


def _codes(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(code := document.get("code"), str):
            yield code
        yield from _codes(document.get("errors"))
        error = document.get("error")
        yield from [error] if isinstance(error, str) else _codes(error)
    elif isinstance(document, list):
        for item in document:
            yield from _codes(item)

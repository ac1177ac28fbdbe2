"""What the conformance tests have found, put together from the notes that `evidence.py` kept."""

from __future__ import annotations

import json
import pkgutil
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import globus_sdk.testing.data

from airflow_provider_globus.sandbox.app import SERVICES
from airflow_provider_globus.sandbox.service import Basis, Route
from tests.conformance import commands
from tests.conformance.evidence import Witness
from tests.conformance.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The basis that the word of a witness is enough for, the surest first; clients show only that they can read an answer.
_BASES = {Witness.RECORDED: Basis.RECORDED, Witness.QUOTED: Basis.QUOTED, Witness.SCHEMA: Basis.SCHEMA}


@dataclass(frozen=True)
class Seen:
    """A route of the sandbox, and the tests of each witness that have seen it answer."""

    service: str
    route: Route
    tests: dict[Witness, list[str]]

    @property
    def name(self) -> str:
        return f"{self.route.method} {self.route.path}"

    @property
    def basis_found(self) -> Basis | None:
        """The surest basis that tests have found."""
        return next((basis for witness, basis in _BASES.items() if witness in self.tests), None)

    @property
    def scenario(self) -> str | None:
        """A test that shows the route at work."""
        return next((self.tests[witness][0] for witness in Witness if witness in self.tests), None)


@dataclass(frozen=True)
class Coverage:
    """The sets of recordings that the SDK has of a service."""

    service: str
    sets: list[str]
    covered: set[str]
    unserved: dict[str, str]


class Findings:
    """All notes of a run."""

    def __init__(self, folder: Path) -> None:
        self._notes: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for file in sorted(folder.glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8").splitlines():
                note = json.loads(line)
                self._notes[note.pop("what")].append(note)

    def notes(self, what: str) -> list[dict[str, Any]]:
        """Return the notes of a kind, as they were kept."""
        return self._notes[what]

    @cached_property
    def routes(self) -> list[Seen]:
        """Every route of every service, in the order of the sandbox."""
        tests: dict[tuple[str, str, str], dict[Witness, set[str]]] = defaultdict(lambda: defaultdict(set))
        for note in self.notes("route"):
            tests[note["service"], note["method"], note["route"]][Witness(note["witness"])].add(note["test"])
        return [
            Seen(
                service.name,
                route,
                {who: sorted(names) for who, names in tests[service.name, route.method, route.path].items()},
            )
            for service in SERVICES
            for route in service.routes
        ]

    @cached_property
    def coverage(self) -> list[Coverage]:
        """What is covered of the recordings of each service that the sandbox serves."""
        covered: dict[str, set[str]] = defaultdict(set)
        unserved: dict[str, dict[str, str]] = defaultdict(dict)
        for note in self.recordings(Witness.RECORDED):
            covered[note["service"]].add(note["set"])
        for note in self.notes("unserved"):
            unserved[note["service"]][note["set"]] = note["why"]
        return [
            Coverage(service, Recordings(service, {}).sets(), covered[service], unserved[service])
            for service in self.recorded_services()
            if covered[service]
        ]

    @staticmethod
    def recorded_services() -> list[str]:
        """Return the services that the SDK has recordings of, served or not."""
        return [module.name for module in pkgutil.iter_modules(globus_sdk.testing.data.__path__) if module.ispkg]

    def recordings(self, witness: Witness) -> list[dict[str, Any]]:
        """Return the comparisons with recordings of the SDK, or with quoted ones."""
        return [note for note in self.notes("recording") if note["witness"] == witness]

    def differences(self, kind: str) -> dict[str, dict[str, str]]:
        """Return how answers differ from recordings, and why, by service and path.

        :param kind: ``extra`` is what recordings have not, ``stale`` what answers have not.
        """
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for note in self.notes("recording"):
            found[note["service"]].update(note[kind])
        return {service: dict(sorted(reasons.items())) for service, reasons in sorted(found.items()) if reasons}

    @cached_property
    def wrong(self) -> dict[str, dict[str, str]]:
        """Where answers are not as their schema says, and why, by service and message."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for note in self.notes("schema"):
            found[note["service"]].update(note["wrong"])
        return {service: dict(sorted(reasons.items())) for service, reasons in sorted(found.items()) if reasons}

    @cached_property
    def absent(self) -> dict[str, set[str]]:
        """What the schema of a successful answer has and no answer had, by method and path."""
        found: dict[str, set[str]] = {}
        for note in self.notes("schema"):
            if note["status"] < 400:
                name = f"{note['method']} {note['route']}"
                found[name] = found.get(name, set(note["absent"])) & set(note["absent"])
        return {name: fields for name, fields in sorted(found.items()) if fields}

    def problems(self) -> Iterator[str]:
        """Yield whatever is claimed and was not seen, and whatever was seen and is not explained."""
        yield from self._about_recordings()
        for seen in self.routes:
            if not seen.tests:
                yield f"{seen.name} ({seen.service}): no client has used it with success"
            elif seen.route.basis in _BASES.values() and seen.route.basis is not seen.basis_found:
                yield f"{seen.name} ({seen.service}): its basis is {seen.route.basis}, found: {seen.basis_found}"
            elif seen.route.basis not in _BASES.values() and seen.basis_found:
                yield f"{seen.name} ({seen.service}): its basis is {seen.basis_found}, not {seen.route.basis}"
        run = {note["command"] for note in self.notes("command")}
        yield from (f"{command}: not run, and no reason given" for command in commands.unaccounted(run))
        yield from (
            f"{command}: run, though there is a reason not to" for command in sorted(run & commands.NOT_RUN.keys())
        )
        fuzzed = {(note["service"], note["method"], note["route"]) for note in self.notes("fuzz")}
        for seen in self.routes:
            if (seen.service, seen.route.method, seen.route.path) not in fuzzed:
                yield f"{seen.name} ({seen.service}): not fuzzed"

    def _about_recordings(self) -> Iterator[str]:
        for coverage in self.coverage:
            for name in coverage.sets:
                if name not in coverage.covered and name not in coverage.unserved:
                    yield f"{coverage.service}.{name}: neither compared nor said to be unserved"
        for note in self.notes("recording"):
            where = f"{note['service']}.{note['set']}:{note['case']}"
            yield from (f"{where}: {path} is missing" for path in note["missing"])
            yield from (f"{where}: {path} is unexplained" for path, reason in note["extra"].items() if not reason)

"""Writes `docs/fidelity.md`: what is known of each route of the sandbox, and what is assumed."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.service import Basis
from tests.conformance.evidence import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.findings import Findings, Seen

_TITLES = {
    "auth": "Auth",
    "transfer": "Transfer",
    "compute": "Compute",
    "flows": "Flows",
    "search": "Search",
    "groups": "Groups",
    "connect_server": "Connect Server (GCS Manager)",
    "https": "HTTPS access to collections",
}
_CLIENTS = (Witness.CLI, Witness.JAVASCRIPT, Witness.COMPUTE_SDK, Witness.PYTHON_SDK)
_INTRODUCTION = """\
# How faithful the sandbox is

This page is made by `make conformance` from the sandbox's routes and from what the tests in `tests/conformance` saw;
nobody writes it by hand. None of it was compared with the real service itself: the witnesses are recordings of it,
schemas it publishes, and its official clients.

For each route: what the shape of its answer is **known from**, which official clients have **used** it with success,
and a **scenario**, a test that shows it at work.

| Known from | Meaning |
| --- | --- |
| recorded | a response of the real service that the Python SDK ships (`globus_sdk.testing`): each key, and its type |
| quoted | a response of the real service that a public project shows (`tests/conformance/quoted` names each) |
| schema | the OpenAPI schema that the service publishes |
| documented | the service's documentation, or what official clients send and read |
| assumed | none of these: the answer says so with `X-Sandbox-Provisional: 1` |

What no route serves answers 501 and says so.
"""


def page(findings: Findings) -> str:
    """Return the page."""
    return "\n".join(
        [_INTRODUCTION, *_summary(findings), *_routes(findings), *_recordings(findings), *_absent(findings)]
    )


def _summary(findings: Findings) -> Iterator[str]:
    yield "| Service | Routes | " + " | ".join(Basis) + " |"
    yield "| --- |" + " ---: |" * (1 + len(Basis))
    for service, found in _by_service(findings):
        counts = (str(sum(seen.route.basis is basis for seen in found)) for basis in Basis)
        yield f"| {_title(service)} | {len(found)} | " + " | ".join(counts) + " |"
    yield ""


def _routes(findings: Findings) -> Iterator[str]:
    for service, found in _by_service(findings):
        yield f"## {_title(service)}\n"
        yield "| Route | Known from | Used by | Scenario |"
        yield "| --- | --- | --- | --- |"
        for seen in found:
            clients = ", ".join(witness for witness in _CLIENTS if witness in seen.tests)
            yield f"| `{seen.name}` | {seen.route.basis} | {clients} | {_link(seen.scenario)} |"
        yield ""


def _recordings(findings: Findings) -> Iterator[str]:
    yield "## Recordings\n"
    yield "| Service | Sets that the SDK has | Compared | Not served |"
    yield "| --- | ---: | ---: | --- |"
    for coverage in findings.coverage:
        reasons = sorted(set(coverage.unserved.values()))
        not_served = "; ".join(f"{list(coverage.unserved.values()).count(why)}: {why}" for why in reasons)
        yield f"| {coverage.service} | {len(coverage.sets)} | {len(coverage.covered)} | {not_served} |"
    yield ""
    yield from _reasons("What answers have and recordings have not", "Key", findings.differences("extra"))
    yield from _reasons("What recordings have and answers have not", "Key", findings.differences("stale"))
    yield from _reasons("Where answers are not as their schema says", "Finding", findings.wrong)


def _reasons(title: str, what: str, reasons: dict[str, dict[str, str]]) -> Iterator[str]:
    yield f"### {title}\n"
    for service, found in reasons.items():
        yield f"#### {service}\n"
        yield f"| {what} | Why |"
        yield "| --- | --- |"
        yield from (f"| `{_cell(path)}` | {_cell(why)} |" for path, why in found.items())
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _absent(findings: Findings) -> Iterator[str]:
    yield "## What schemas have and the sandbox never answers\n"
    yield "Optional fields that no answer had in any state that the tests bring about.\n"
    yield "| Route | Fields |"
    yield "| --- | --- |"
    for name, fields in findings.absent.items():
        yield f"| `{name}` | {', '.join(f'`{field}`' for field in sorted(fields))} |"
    yield ""


def _by_service(findings: Findings) -> Iterator[tuple[str, list[Seen]]]:
    for service, found in groupby(findings.routes, key=lambda seen: seen.service):
        yield service, list(found)


def _title(service: str) -> str:
    return _TITLES.get(service, service)


def _link(test: str | None) -> str:
    if test is None:
        return ""
    file, _, name = test.partition("::")
    # One of many alike is told by what it is about, such as the name of a recording.
    function, _, about = name.removesuffix("]").partition("[")
    return f"[`{_cell(about or function)}`](../{file})"

"""Why a function failed, in a sentence with the fix: read from the traceback that the endpoint sends."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

#: Characters of a reason that an error quotes.
_QUOTED = 400


class Failure(NamedTuple):
    """
    :param code: what kind of failure, for example ``WORKER_LOST``, or the remote exception's name.
    :param reason: what the endpoint or the service said, in one line.
    :param advice: what to do next.
    :param text: all that was said: the remote traceback.
    """

    code: str
    reason: str
    advice: str
    text: str

    def __str__(self) -> str:
        return f"{self.reason} {self.advice}".strip()


_KNOWN = (
    (
        "WORKER_LOST",
        r"WorkerLost|BrokenProcessPool",
        "The process that ran the function died: it ran out of memory or time, crashed, or runs another Python version "
        "than the function needs. Ask for more memory or walltime in the endpoint's configuration "
        "(user_endpoint_config), and look at the endpoint's log.",
    ),
    (
        "RESULT_TOO_LARGE",
        r"MaxResultSizeExceeded|exceeded current\s+limit",
        "Globus Compute takes results of up to 10 MB: write the result to a file, return its path, and move it with "
        "GlobusTransferOperator.",
    ),
    (
        "RESULT_NOT_JSON",
        r"not JSON serializable|All strategies failed|Strategy failures",
        "Return what JSON can hold (numbers, texts, lists, dicts with text keys; NumPy values with .tolist() or "
        ".item()), or set result_serializer='dill' if you trust the endpoint.",
    ),
    (
        "RESOURCE_SPECIFICATION",
        r"InvalidResourceSpecification",
        "The endpoint's engine does not take this resource_specification: use an endpoint with an MPI engine, or leave "
        "it out.",
    ),
    (
        "ARGUMENTS_NOT_READ",
        r"DeserializationError|Deserialization failed|UnpicklingError",
        "Arguments that JSON cannot hold travel as dill, which the endpoint reads with the same Python version and "
        "packages only: pass plain data, or a path that the function opens itself.",
    ),
    (
        "MODULE_NOT_FOUND",
        r"ModuleNotFoundError|ImportError",
        "Install the package where the endpoint's workers run (worker_init in the endpoint's configuration), or choose "
        "an endpoint that has it.",
    ),
)


def failure_of(document: Mapping[str, Any]) -> Failure:
    """What a failed task's document says."""
    text = str(document.get("exception") or document.get("reason") or "no reason given").strip()
    reason = _last_line(text)
    for code, pattern, advice in _KNOWN:
        if re.search(pattern, reason) or (code == "RESULT_NOT_JSON" and re.search(pattern, text)):
            return Failure(code, reason, f"{advice}{_python_note(document, code)}", text)
    if "exception" not in document and re.search(r"abandon|retriev", reason):
        return Failure(
            "RESULT_DROPPED",
            reason,
            "Globus Compute drops a result that nobody fetches for 30 minutes: keep a triggerer or worker running.",
            text,
        )
    name = re.match(r"[\w.]*?(\w+(?:Error|Exception|Exit|Interrupt|Warning|Lost|Exceeded))\b", reason)
    return Failure(name.group(1) if name else "FAILED", reason, "", text)


def _last_line(text: str) -> str:
    """The line of a traceback that names the exception, with what belongs to it."""
    lines = [line for line in text.splitlines() if line.strip()]
    start = next(
        (n for n in range(len(lines) - 1, -1, -1) if re.match(r"[A-Za-z_][\w.]*(:|$)", lines[n])), len(lines) - 1
    )
    return " ".join(" ".join(lines[start:]).split())[:_QUOTED]


def _python_note(document: Mapping[str, Any], code: str) -> str:
    theirs = str((document.get("details") or {}).get("python_version") or "")
    ours = ".".join(map(str, sys.version_info[:2]))
    if code not in ("WORKER_LOST", "ARGUMENTS_NOT_READ") or not theirs or theirs.startswith(f"{ours}."):
        return ""
    return f" The endpoint runs Python {theirs}, this worker {ours}."

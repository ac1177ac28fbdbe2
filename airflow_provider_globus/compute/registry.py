"""
Functions are registered at Globus Compute once for each content, not once for each run.

What is registered is remembered in an Airflow Variable, which all workers see. Losing it costs a registration.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_globus.compute.functions import FunctionCode
    from airflow_provider_globus.hooks.globus import GlobusHook

#: The Variable: a JSON object of digests and function ids.
VARIABLE = "globus_compute_functions"

_DESCRIPTION = "Functions that operators have registered at Globus Compute. Deleting it is safe: they register again."

#: Functions that the Variable remembers; the oldest are dropped first.
_REMEMBERED = 500

log = logging.getLogger(__name__)


class FunctionRegistry:
    """The functions of one connection's identity at Globus Compute."""

    #: what this process knows, so that a Variable that cannot be written costs one registration a process
    _known: dict[str, str] = {}  # noqa: RUF012 - shared by design

    def __init__(self, hook: GlobusHook) -> None:
        self._hook = hook

    def function_id(self, code: FunctionCode, **options: Any) -> str:
        """
        The id of a function, registered now if it never was.

        :param options: further fields of the registration, for example ``description``.
        """
        digest = self._digest(code, options)
        known = self._known.get(digest) or self._remembered().get(digest)
        if known is None:
            known = self._register(code, options)
            self._remember(digest, known)
        self._known[digest] = known
        return known

    def forget(self, function_id: str) -> None:
        """Drop a function that the service does not know any more."""
        for digest in [digest for digest, known in self._known.items() if known == function_id]:
            del self._known[digest]
        left = {digest: known for digest, known in self._remembered().items() if known != function_id}
        self._write(left)

    def _digest(self, code: FunctionCode, options: dict[str, Any]) -> str:
        settings = self._hook.settings
        # Another identity may not run our functions, and another service does not know them.
        parts = [
            code.digest,
            sys.version_info[:2],
            settings.client_id,
            settings.app_type,
            settings.environment,
            settings.service_urls.get("compute"),
            options,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def _register(self, code: FunctionCode, options: dict[str, Any]) -> str:
        import globus_compute_sdk

        document = {
            "function_name": code.name,
            "function_code": code.packed(),
            "serialized": True,
            "meta": {
                "python_version": ".".join(map(str, sys.version_info[:3])),
                "sdk_version": globus_compute_sdk.__version__,
                "serde_identifier": code.serializer,
            },
            **options,
        }
        client = self._hook.compute_client_v3()
        answer = self._hook.call(f"registering the function {code.name}", client.register_function, document)
        log.info("Registered the function %s at Globus Compute as %s.", code.name, answer["function_uuid"])
        return str(answer["function_uuid"])

    def _remembered(self) -> dict[str, str]:
        from airflow.sdk import Variable

        try:
            stored = Variable.get(VARIABLE, default=None, deserialize_json=True)
        except Exception as error:
            # Outside a task there is no Airflow to ask; a function registered once more is no harm.
            log.debug("The registered functions cannot be looked up: %s", error)
            return {}
        return dict(stored) if isinstance(stored, dict) else {}

    def _remember(self, digest: str, function_id: str) -> None:
        entries = list((self._remembered() | {digest: function_id}).items())
        self._write(dict(entries[-_REMEMBERED:]))

    def _write(self, entries: dict[str, str]) -> None:
        from airflow.sdk import Variable

        try:
            Variable.set(VARIABLE, entries, description=_DESCRIPTION, serialize_json=True)
        except Exception as error:
            log.debug("The registered functions cannot be remembered: %s", error)

"""
Functions are registered at Globus Compute once for each content, not once for each run.

What is registered is remembered in an Airflow Variable, which all workers see. Losing it costs a registration.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_globus.exceptions import GlobusNotFoundError

if TYPE_CHECKING:
    from airflow_provider_globus.compute.functions import FunctionCode
    from airflow_provider_globus.hooks.globus import GlobusHook

#: The Variable: a JSON object of digests and function ids.
VARIABLE = "globus_compute_functions"

_DESCRIPTION = "Functions that operators have registered at Globus Compute. Deleting it is safe: they register again."

#: Functions that the Variable remembers; the oldest are dropped first.
_REMEMBERED = 500

Used = TypeVar("Used")

log = logging.getLogger(__name__)


class FunctionRegistry:
    """The functions of one connection's identity at Globus Compute."""

    #: what this process knows, so that a Variable that cannot be written costs one registration a process
    _known: dict[str, str] = {}  # noqa: RUF012 - shared by design

    def __init__(self, hook: GlobusHook) -> None:
        self._hook = hook

    def use(self, code: FunctionCode, do: Callable[[str], Used], **options: Any) -> Used:
        """
        Do something with a function's id; once more with a new one when somebody has deleted the function.

        :param do: must do nothing when the service does not know the function, as it refuses submissions whole.
        :param options: further fields of the registration, for example ``description``.
        """
        function_id = self._function_id(code, options)
        try:
            return do(function_id)
        except GlobusNotFoundError as error:
            if error.code != "FUNCTION_NOT_FOUND":
                raise
        return do(self._register_anew(code, options))

    def _function_id(self, code: FunctionCode, options: dict[str, Any]) -> str:
        digest = self._digest(code, options)
        if digest not in self._known:
            self._known[digest] = self._remembered().get(digest) or self._register_anew(code, options)
        return self._known[digest]

    def _register_anew(self, code: FunctionCode, options: dict[str, Any]) -> str:
        digest = self._digest(code, options)
        self._known[digest] = self._register(code, options)
        self._remember(digest, self._known[digest])
        return self._known[digest]

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
        self._hook.log.info("Registered the function %s at Globus Compute as %s.", code.name, answer["function_uuid"])
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
        from airflow.sdk import Variable

        known = self._remembered()
        # The newest come last, and the oldest go first.
        known.pop(digest, None)
        entries = dict([*known.items(), (digest, function_id)][-_REMEMBERED:])
        try:
            Variable.set(VARIABLE, entries, description=_DESCRIPTION, serialize_json=True)
        except Exception as error:
            log.debug("The registered functions cannot be remembered: %s", error)

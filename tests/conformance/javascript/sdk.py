"""The Globus JavaScript SDK, driven from Python: a Node.js process that makes the calls a test names.

`make javascript` installs Node.js and the SDK. Where they are missing the tests are skipped, unless
`GLOBUS_JAVASCRIPT_TESTS=required` makes that a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from tests.installed import missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client

# The scopes of the default service account, by the SDK's own names.
_SCOPES = (
    "auth.CONFIG.SCOPES.VIEW_IDENTITIES",
    "transfer.CONFIG.SCOPES.ALL",
    "flows.CONFIG.SCOPES.MANAGE_FLOWS",
    "flows.CONFIG.SCOPES.VIEW_FLOWS",
    "flows.CONFIG.SCOPES.RUN_MANAGE",
    "flows.CONFIG.SCOPES.RUN_STATUS",
    "search.CONFIG.SCOPES.ALL",
    "compute.CONFIG.SCOPES.ALL",
    "groups.CONFIG.SCOPES.ALL",
)

FOLDER = Path(__file__).resolve().parent
NODE = FOLDER.parents[2] / ".venv-javascript" / "bin" / "node"


def require_installed() -> None:
    """Skip the test where Node.js or the SDK is missing, or fail it where they have to be there."""
    if not (NODE.exists() and (FOLDER / "node_modules" / "@globus" / "sdk").exists()):
        missing("The Globus JavaScript SDK is not installed: run `make javascript`", "GLOBUS_JAVASCRIPT_TESTS")


@dataclass(frozen=True)
class Answered:
    """What a service answered: the document, or the text of what is no JSON."""

    status: int
    headers: Mapping[str, str]
    document: Any


class JavaScriptSdk:
    """One process with the SDK, and the tokens of one caller.

    :param client_id: the application that refreshes tokens; the default service account when left out.
    """

    def __init__(self, sandbox: GlobusSandbox, *, client_id: str = "") -> None:
        self.sandbox = sandbox
        self._process = subprocess.Popen(
            [NODE, "calls.mjs"],
            cwd=FOLDER,
            env={
                "PATH": os.environ["PATH"],
                **sandbox.env,
                **({"GLOBUS_CLIENT_ID": client_id} if client_id else {}),
                # Node.js trusts what it was started with: the SDK has no setting of its own for that.
                "NODE_EXTRA_CA_CERTS": str(sandbox.ca_file),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The program ends where its input does.
        self._process.communicate(timeout=60)

    def scopes(self) -> list[str]:
        """The scopes of every service that the SDK has a client of."""
        endpoint = {"host": self.sandbox.tls_url, "endpoint_id": ENDPOINT_ID}
        names = [self.value(name) for name in _SCOPES]
        return ["openid", "profile", "email", *names, self.value("gcs.getScopes", endpoint, "HIGH_ASSURANCE")]

    def login(self, *scopes: object) -> Any:
        """Take the default service account's tokens for these scopes, and return the token document."""
        client, secret = self.sandbox.client_id, self.sandbox.client_secret
        asked = {"client": client, "secret": secret, "scope": " ".join(map(str, scopes))}
        return _success(self._returned(login=asked))

    def app(self, client: Client, redirect: str, *scopes: object) -> None:
        """Become a web application that people log in to."""
        self._returned(app={"client": client.id, "redirect": redirect, "scopes": " ".join(map(str, scopes))})

    def send(self, error: Any = True) -> str:
        """Send the person to log in, for the first time or because of an error; return the address of the page."""
        return str(self._returned(send=error))

    def receive(self, url: str) -> Any:
        """Take who comes back from the login, and return the token document."""
        return self._returned(receive=url)

    @staticmethod
    def bearer(tokens: Any, resource_server: str) -> dict[str, str]:
        """The header with one of the tokens of a token document."""
        found = next(one for one in (tokens, *tokens["other_tokens"]) if one["resource_server"] == resource_server)
        return {"Authorization": f"Bearer {found['access_token']}"}

    def keep(self, tokens: Mapping[str, Any]) -> None:
        """Take these tokens."""
        self._returned(keep=tokens)

    def answer(self, name: str, *arguments: Any, **options: Any) -> Answered:
        """Make a request with the function of this name.

        :param options: the SDK's own: ``query``, ``payload``, ``body``, ``headers``.
        """
        return Answered(**self._returned(call=name, args=arguments, options=options))

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Make a request, which must succeed, and return the document."""
        return _success(self._returned(call=name, args=arguments, options=options))

    def refused(self, name: str, *arguments: Any, **options: Any) -> tuple[int, Any]:
        """Make a request, which must be refused, and return the status and the error's document."""
        answer = self.answer(name, *arguments, **options)
        assert answer.status >= 400, answer.document
        return answer.status, answer.document

    def value(self, name: str, *arguments: Any) -> Any:
        """What a function that makes no request returns, or a constant."""
        return self._returned(value=name, args=arguments)

    def functions(self) -> list[dict[str, Any]]:
        """The functions that make requests: name, how many arguments before the options, and whether one of names."""
        found: list[dict[str, Any]] = self._returned(functions=True)
        return found

    def _returned(self, **request: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline() or '{"thrown": "the program ended"}')
        assert "thrown" not in reply, reply["thrown"]
        return reply["returned"]


def _success(answer: Mapping[str, Any]) -> Any:
    assert 200 <= answer["status"] < 300, answer
    return answer["document"]

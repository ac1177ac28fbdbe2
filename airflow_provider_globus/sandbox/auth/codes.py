"""What a login leaves behind: the code for which a client gets its tokens, and the signature of who logged in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from globus_sdk.scopes import Scope

ALGORITHM = "RS512"
CODE_SECONDS = 600


@dataclass(frozen=True)
class AuthorizationCode:
    """That a person let a client act for it.

    :param challenge: what the client has to know the verifier of (PKCE), and how that is made of it.
    :param offline: whether refresh tokens were asked for.
    :param authenticated_at: when the person logged in.
    :param mfa: whether it did so with a second factor.
    """

    client_id: str
    identity_id: str
    redirect_uri: str
    scopes: tuple[Scope, ...]
    state: str | None
    challenge: tuple[str, str] | None
    offline: bool
    authenticated_at: float
    mfa: bool
    value: str = field(default="", repr=False)

    @property
    def expires_at(self) -> float:
        """Until when it is good for tokens."""
        return self.authenticated_at + CODE_SECONDS

    def knows(self, verifier: str | None) -> bool:
        """Tell whether a verifier is the one of the challenge."""
        if self.challenge is None:
            return verifier is None
        challenge, method = self.challenge
        given = challenge_of(verifier) if verifier and method == "S256" else verifier or ""
        return hmac.compare_digest(given.encode(), challenge.encode())


def challenge_of(verifier: str) -> str:
    """Return the challenge that a verifier answers (RFC 7636, S256)."""
    return _base64(hashlib.sha256(verifier.encode()).digest())


def half_hash(token: str) -> str:
    """Return what an id token says of the access token beside it (OpenID Connect, ``at_hash``)."""
    digest = hashlib.sha512(token.encode()).digest()
    return _base64(digest[: len(digest) // 2])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningKey:
    """The key of one sandbox's id tokens; made when one is asked for, and gone with the process."""

    @cached_property
    def _private(self) -> RSAPrivateKey:
        # Imported here: most sandboxes never sign anything.
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, claims: dict[str, Any]) -> str:
        """Return claims as a signed token."""
        import jwt

        return jwt.encode(claims, self._private, algorithm=ALGORITHM)

    def document(self) -> dict[str, Any]:
        """Return the public key as a JWK."""
        from jwt.algorithms import RSAAlgorithm

        key = json.loads(RSAAlgorithm.to_jwk(self._private.public_key()))
        return {name: key[name] for name in ("e", "kty", "n")} | {"alg": ALGORITHM, "use": "sig"}

"""Who may do something: people, service accounts and groups, as authors write them and as Globus wants them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.ids import is_uuid

if TYPE_CHECKING:
    from airflow_provider_globus.hooks.globus import GlobusHook

_URN = "urn:globus:"
_IDENTITY = "urn:globus:auth:identity:"

#: Words that stand for everybody, where a service takes them.
EVERYBODY = ("public", "all_authenticated_users")


def identity_id(hook: GlobusHook, identity: str) -> str:
    """
    The UUID of an identity that is given by UUID or username.

    :raises GlobusInputError: when Globus knows no such username.
    """
    if is_uuid(identity):
        return identity
    client = hook.auth_client()
    doing = f"looking up the identity {identity!r}"
    found = hook.call(doing, client.get_identities, usernames=identity)["identities"]
    if not found:
        raise GlobusInputError(
            f"Globus knows no identity {identity!r}.", advice="Check the username, or give the identity's UUID."
        )
    return str(found[0]["id"])


def identity_ids(hook: GlobusHook, identities: Iterable[str] | None) -> list[str]:
    """
    The UUIDs of identities that are given by UUID or username, one or several; none for an empty text.

    :raises GlobusInputError: when Globus knows no such username, or one of several is empty.
    """
    given = [identities] if isinstance(identities, str) and identities else list(identities or ())
    if any(not isinstance(identity, str) or not identity.strip() for identity in given):
        raise GlobusInputError(f"An identity is missing in {given!r}.", advice="Give usernames or UUIDs.")
    return [identity_id(hook, identity).lower() for identity in given]


def own_identity_id(hook: GlobusHook) -> str:
    """The UUID of the identity that the connection acts as."""
    return str(hook.call("asking Globus Auth who this is", hook.auth_client().userinfo)["sub"])


def principal_urns(hook: GlobusHook, principals: Iterable[str] | None) -> list[str]:
    """
    The URNs of principals.

    :param principals: usernames or UUIDs of identities, URNs (groups: ``urn:globus:groups:id:<UUID>``), or a word of
        :data:`EVERYBODY`.
    """
    given = [principals] if isinstance(principals, str) else principals or ()
    return [p if p.startswith(_URN) or p in EVERYBODY else _IDENTITY + identity_id(hook, p) for p in given]

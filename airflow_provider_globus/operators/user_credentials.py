"""User credentials on a Globus Connect Server: the keys or accounts by which an identity reaches a storage system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.connect_server.policies import S3_KEY_CONNECTORS, S3_USER_CREDENTIAL, find_connector
from airflow_provider_globus.exceptions import GlobusInputError, GlobusNotFoundError
from airflow_provider_globus.operators.connect_server import GlobusConnectServerOperator
from airflow_provider_globus.operators.principals import identity_id
from airflow_provider_globus.operators.secrets import S3Keys, s3_keys

if TYPE_CHECKING:
    from airflow.sdk import Context

_DATA_TYPE = "user_credential#1.0.0"


class GlobusUserCredentialOperator(GlobusConnectServerOperator):
    """
    Base of the operators for user credentials.

    :param storage_gateway: UUID of the gateway, or the display name of exactly one.
    :param identity: whose credential: username or UUID. Default: this connection's; others only on gateways with
        ``admin_managed_credentials``.
    :param username: the local account of the credential, which the identity mapping of the gateway yields.
    """

    template_fields: Sequence[str] = (
        *GlobusConnectServerOperator.template_fields,
        "storage_gateway",
        "identity",
        "username",
    )

    def __init__(
        self, *, storage_gateway: str, identity: str | None = None, username: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.storage_gateway = storage_gateway
        self.identity = identity
        self.username = username

    def credential_owner(self) -> str:
        """The UUID of the identity whose credential it is."""
        return identity_id(self.hook, self.identity) if self.identity else self.identity_of_connection()

    def find_credential(self, gateway_id: str, owner: str) -> dict[str, Any] | None:
        """The identity's credential on the gateway, or ``None``; several have to be told apart by ``username``."""
        found = self.user_credentials(gateway_id, owner, self.username, others=bool(self.identity))
        if len(found) > 1:
            listed = ", ".join(f"{item.get('username')} ({item['id']})" for item in found)
            raise GlobusInputError(
                f"{type(self).__name__}: the identity {owner} has {len(found)} user credentials on the storage gateway "
                f"{self.storage_gateway!r}: {listed}.",
                advice="Say which with username.",
            )
        if not found:
            return None
        # A list may tell less of each than a look at one.
        credential_id = str(found[0]["id"])
        doing = f"looking up the user credential {credential_id}"
        return self.unless_missing(doing, self.client().get_user_credential, credential_id)


class GlobusCreateUserCredentialOperator(GlobusUserCredentialOperator):
    """
    Let an identity reach a storage system: register a user credential, change what differs, or do nothing.

    S3 keys come from Airflow connections and go nowhere but to Globus: not into arguments, logs or XComs. Globus does
    not show the secret, so keys are the same when their ids are; the secret is sent when the id differs, when Globus
    has marked the credential as invalid, or with ``rotate``. Returns ``user_credential_id``, ``storage_gateway_id``,
    ``identity_id``, ``username``, ``s3_key_id``, ``changed`` and ``action``.

    Accounts of Google, Microsoft, Box and Dropbox are connected by their owner in the web app, not here.

    :param storage_gateway: UUID of the gateway, or the display name of exactly one.
    :param credentials_conn_id: S3: id of a connection of type ``aws`` (login and password, or
        ``aws_access_key_id`` and ``aws_secret_access_key`` in the extra) or ``globus`` (``s3_key_id`` and
        ``s3_secret_key`` in the extra, or login and password).
    :param multi_keys: S3 gateways with ``s3_allow_multi_keys``: other keys for some paths, as a dict of path prefix
        (``bucket/prefix``) to connection id. This is the whole of it: prefixes that are not given are taken away.
    :param requester_pays: S3 gateways with ``s3_requester_pays``: agree that requests are charged to the keys' account.
    :param display_name: name of the credential.
    :param rotate: send the secrets, even if the ids of the keys are the same.
    """

    template_fields: Sequence[str] = (
        *GlobusUserCredentialOperator.template_fields,
        "credentials_conn_id",
        "multi_keys",
        "display_name",
    )

    def __init__(
        self,
        *,
        credentials_conn_id: str | None = None,
        multi_keys: Mapping[str, str] | None = None,
        requester_pays: bool | None = None,
        display_name: str | None = None,
        rotate: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.credentials_conn_id = credentials_conn_id
        self.multi_keys = multi_keys
        self.requester_pays = requester_pays
        self.display_name = display_name
        self.rotate = rotate

    def execute(self, context: Context) -> dict[str, Any]:
        """Register, update, or leave the credential."""
        keys = s3_keys(self, self.credentials_conn_id) if self.credentials_conn_id else None
        more = self._more_keys()
        gateway = self.the_gateway(self.storage_gateway)
        self._check(gateway)
        owner = self.credential_owner()
        found = self.find_credential(str(gateway["id"]), owner)
        if found is None:
            return self._create(gateway, owner, keys, more)
        return self._update(found, keys, more)

    # What is wanted

    def _more_keys(self) -> dict[str, S3Keys] | None:
        """Keys by path prefix, each connection asked for once."""
        if self.multi_keys is None:
            return None
        for prefix, conn_id in self.multi_keys.items():
            if not isinstance(conn_id, str) or not prefix.strip("/"):
                raise self.refuse(
                    f"multi_keys must map path prefixes such as 'bucket/prefix' to connection ids; {prefix!r} does not."
                )
        known = {conn_id: s3_keys(self, conn_id) for conn_id in dict.fromkeys(self.multi_keys.values())}
        return {prefix: known[conn_id] for prefix, conn_id in self.multi_keys.items()}

    def _check(self, gateway: Mapping[str, Any]) -> None:
        connector = find_connector(str(gateway["connector_id"])).name
        policies = gateway.get("policies") or {}
        what = f"the storage gateway {gateway.get('display_name')!r}"
        given = (self.credentials_conn_id, self.multi_keys, self.requester_pays)
        if connector not in S3_KEY_CONNECTORS:
            if any(given):
                raise self.refuse(
                    f"{what} is of the connector {connector}, which takes no S3 keys.",
                    "Leave credentials_conn_id, multi_keys and requester_pays out; username names the account.",
                )
            return
        if policies.get("s3_user_credential_required") and not self.credentials_conn_id and not self.multi_keys:
            raise self.refuse(f"{what} demands S3 keys.", "Give credentials_conn_id.")
        if policies.get("s3_requester_pays") and not self.requester_pays:
            raise self.refuse(
                f"on {what}, requests are charged to the account of the keys (s3_requester_pays).",
                "Agree with requester_pays=True; without it, Globus takes the credential for invalid.",
            )
        if self.multi_keys and policies and not policies.get("s3_allow_multi_keys"):
            raise self.refuse(
                f"{what} takes one pair of keys for each user.",
                "Leave multi_keys out, or let its administrator set the policy s3_allow_multi_keys.",
            )

    def _policies(self, keys: S3Keys | None, entries: list[dict[str, Any]] | None) -> dict[str, Any] | None:
        policies: dict[str, Any] = {}
        if keys:
            policies |= {"s3_key_id": keys.key_id, "s3_secret_key": keys.secret}
        if entries is not None:
            policies["s3_multi_keys"] = entries
        if self.requester_pays is not None:
            policies["s3_requester_pays"] = self.requester_pays
        return S3_USER_CREDENTIAL.document(policies) if policies else None

    def _named(self) -> dict[str, Any]:
        given = {"display_name": self.display_name, "username": self.username}
        return {name: value for name, value in given.items() if value is not None}

    # Changing

    def _create(
        self, gateway: Mapping[str, Any], owner: str, keys: S3Keys | None, more: Mapping[str, S3Keys] | None
    ) -> dict[str, Any]:
        gateway_id = str(gateway["id"])
        document = {
            "DATA_TYPE": _DATA_TYPE,
            "connector_id": gateway["connector_id"],
            "storage_gateway_id": gateway_id,
            "identity_id": owner,
            **self._named(),
        }
        if policies := self._policies(keys, _entries(more) if more else None):
            document["policies"] = policies
        created = self.create(
            f"the user credential on {self.storage_gateway!r}",
            self.client(resend=False).create_user_credential,
            document,
            lambda: self.find_credential(gateway_id, owner),
        )
        return self._report("created", str(created["id"]), [*self._named(), *(policies or {})])

    def _update(self, found: dict[str, Any], keys: S3Keys | None, more: Mapping[str, S3Keys] | None) -> dict[str, Any]:
        what = f"the user credential {found['id']}"
        there = found.get("policies") or {}
        changes = self.changes(what, {"display_name": self.display_name} if self.display_name else {}, found)
        asked = self._wanted_of(there, keys, more)
        if asked or self.rotate or found.get("invalid"):
            if found.get("invalid"):
                self.log.info("Globus has marked %s as invalid: sending the keys again.", what)
            entries = None if more is None else _entries(more) + _removals(there, more)
            if policies := self._policies(keys, entries):
                changes["policies"] = policies
        if not changes:
            return self._report("unchanged", str(found["id"]), [])
        for name in asked:
            self.log.info("%s differs in %s.", what[:1].upper() + what[1:], name)
        client = self.client()
        document = {"DATA_TYPE": _DATA_TYPE, **changes}
        self.hook.call(f"updating {what}", client.update_user_credential, found["id"], document)
        return self._report(
            "updated", str(found["id"]), [*(changes.keys() - {"policies"}), *changes.get("policies", ())]
        )

    def _wanted_of(self, there: Mapping[str, Any], keys: S3Keys | None, more: Mapping[str, S3Keys] | None) -> list[str]:
        """Names of the policies that differ."""
        differing = []
        if keys and there.get("s3_key_id") != keys.key_id:
            differing.append("s3_key_id")
        if more is not None and _by_prefix(there) != {_prefix(prefix): pair.key_id for prefix, pair in more.items()}:
            differing.append("s3_multi_keys")
        if self.requester_pays is not None and bool(there.get("s3_requester_pays")) != self.requester_pays:
            differing.append("s3_requester_pays")
        return differing

    def _report(self, action: str, credential_id: str, names: Iterable[str]) -> dict[str, Any]:
        """What Globus now holds, which says also whether it takes the keys."""
        doing = f"looking up the user credential {credential_id}"
        document = self.hook.call(doing, self.client().get_user_credential, credential_id)
        if document.get("invalid"):
            raise GlobusInputError(
                f"{type(self).__name__}: Globus has marked the user credential {credential_id} on "
                f"{self.storage_gateway!r} as invalid.",
                advice="Check that the keys in the connection are active, and whether the gateway demands "
                "requester_pays=True.",
            )
        return self.report(
            action,
            f"the user credential on {self.storage_gateway!r}",
            user_credential_id=credential_id,
            storage_gateway_id=document.get("storage_gateway_id"),
            identity_id=document.get("identity_id"),
            username=document.get("username"),
            s3_key_id=(document.get("policies") or {}).get("s3_key_id"),
            changed=sorted({name for name in names if name != "DATA_TYPE"}),
        )


class GlobusDeleteUserCredentialOperator(GlobusUserCredentialOperator):
    """
    Delete a user credential: guest collections that use it can no longer be read.

    Returns ``user_credential_id`` and ``action``: ``deleted`` or ``absent``.

    :param storage_gateway: UUID of the gateway, or the display name of exactly one.
    :param ignore_missing: succeed when there is no such credential or gateway (any more).
    """

    def __init__(self, *, ignore_missing: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the credential."""
        what = f"the user credential on {self.storage_gateway!r}"
        gateway = self.find_gateway(self.storage_gateway)
        found = self.find_credential(str(gateway["id"]), self.credential_owner()) if gateway else None
        if found is None:
            if not self.ignore_missing:
                raise GlobusNotFoundError(f"There is no user credential of this identity on {self.storage_gateway!r}.")
            return self.report("absent", what, user_credential_id=None)
        client = self.client()
        doing = f"deleting the user credential {found['id']}"
        try:
            self.hook.call(doing, client.delete_user_credential, found["id"])
        except GlobusNotFoundError:
            # It went between the look and the request.
            return self.report("absent", what, user_credential_id=None)
        return self.report("deleted", what, user_credential_id=str(found["id"]))


def _prefix(prefix: str) -> str:
    """A prefix as Globus matches it against ``<bucket>/<object>``: without a slash in front."""
    return prefix.lstrip("/")


def _entries(more: Mapping[str, S3Keys]) -> list[dict[str, Any]]:
    """One entry for each pair of keys, with all its prefixes."""
    prefixes: dict[S3Keys, list[str]] = {}
    for prefix, pair in more.items():
        prefixes.setdefault(pair, []).append(_prefix(prefix))
    return [
        {"path_prefixes": sorted(paths), "s3_key_id": pair.key_id, "s3_secret_key": pair.secret}
        for pair, paths in prefixes.items()
    ]


def _removals(there: Mapping[str, Any], more: Mapping[str, S3Keys]) -> list[dict[str, Any]]:
    """
    Entries that take keys away, by a secret that is null, as the GCS Manager API wants it.

    Assumed: an entry is known by its key's id, so a key that stays with other prefixes is just sent with those.
    """
    staying = {pair.key_id for pair in more.values()}
    return [
        {"path_prefixes": entry.get("path_prefixes") or [], "s3_key_id": entry["s3_key_id"], "s3_secret_key": None}
        for entry in there.get("s3_multi_keys") or ()
        if entry.get("s3_key_id") not in staying
    ]


def _by_prefix(there: Mapping[str, Any]) -> dict[str, str]:
    return {
        prefix: str(entry.get("s3_key_id"))
        for entry in there.get("s3_multi_keys") or ()
        for prefix in entry.get("path_prefixes") or ()
    }

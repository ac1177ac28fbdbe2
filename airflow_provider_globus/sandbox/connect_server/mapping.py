"""Which local accounts a Globus identity has on a storage gateway, found by Globus' own mapping library."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EXPRESSION = "expression_identity_mapping#1.0.0"
EXTERNAL = "external_identity_mapping#1.0.0"

# Connectors whose accounts keep the domain of the username when nothing else is configured.
QUALIFIED_CONNECTORS = frozenset(
    {
        "7c100eae-40fe-11e9-95a3-9cb6d0d9fd63",  # Box
        "56366b96-ac98-11e9-abac-9cb6d0d9fd63",  # Google Cloud Storage
        "976cf0cf-78c3-4aab-82d2-7c16adbcc281",  # Google Drive
        "7643e831-5f6c-4b47-a07f-8ee90f401d23",  # S3
    }
)
REMEMBERED_IDENTITIES = 1024


class IdentityMapper:
    """The identity mappings of one storage gateway; make a new one when they change.

    Without mappings the default of Connect Server applies: the username without its domain, or the whole username
    for connectors whose accounts have one (Box, Google Cloud Storage, Google Drive, S3).

    :param mappings: the gateway's `identity_mappings`.
    :param connector_id: the gateway's connector.
    :param gateway_id: the gateway.
    :param allowed_domains: the gateway's `allowed_domains`. Connect Server has no default mapping when there are
        several: then nobody has an account until mappings are given.
    :raises ValueError: a document that Connect Server would not take; the message says which and why.
    """

    def __init__(
        self,
        mappings: Iterable[Mapping[str, Any]] | None,
        *,
        connector_id: str,
        gateway_id: str,
        allowed_domains: Sequence[str] = (),
    ) -> None:
        documents = list(mappings or ())
        self._whole_username = connector_id.lower() in QUALIFIED_CONNECTORS
        self._single_domain = len(allowed_domains) <= 1
        self._mappers = [
            _mapper(number, document, connector_id, gateway_id) for number, document in enumerate(documents, start=1)
        ]
        self._remembered = lru_cache(maxsize=REMEMBERED_IDENTITIES)(self._evaluate)

    def accounts(self, identity: Mapping[str, Any]) -> list[str]:
        """Return the local accounts of an identity document, the one that is used first; none when it has none.

        :raises StorageError: `AUTH`: the gateway maps by an external program, which the sandbox does not run.
        """
        return list(self._remembered(tuple(identity.items())))

    def _evaluate(self, items: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
        identity = dict(items)
        if not self._mappers:
            return self._default(identity)
        if None in self._mappers:
            raise StorageError(
                "AUTH",
                f"the storage gateway maps {identity.get('username')} by an external program; the sandbox runs no "
                f"programs: give the gateway an {EXPRESSION} document",
            )
        found: dict[str, None] = {}
        for mapper in self._mappers:
            found.update(dict.fromkeys(filter(None, _accounts_by(mapper, identity))))
        return tuple(found)

    def _default(self, identity: Mapping[str, Any]) -> tuple[str, ...]:
        username = str(identity.get("username") or "")
        account = username if self._whole_username else username.partition("@")[0]
        return (account,) if account and self._single_domain else ()


def _mapper(number: int, document: Mapping[str, Any], connector_id: str, gateway_id: str) -> Any:
    """Return the library's mapper of a document, None for an external one."""
    # The library is an extra and costs time to import: only gateways with mappings need it.
    from globus_identity_mapping.mappers.expression import ExpressionIdentityMapping

    kind = document.get("DATA_TYPE") if isinstance(document, Mapping) else None
    if kind == EXTERNAL:
        command = document.get("command")
        if not isinstance(command, list) or not command:
            raise ValueError(f"identity_mappings[{number - 1}]: command must be a list with the program and arguments")
        return None
    if kind != EXPRESSION:
        raise ValueError(f"identity_mappings[{number - 1}]: unsupported DATA_TYPE {kind!r}")
    try:
        return ExpressionIdentityMapping.from_mapping_document(
            document, connector=connector_id, storage_gateway=gateway_id
        )
    except KeyError as error:
        raise ValueError(f"identity_mappings[{number - 1}]: a mapping has no {error.args[0]}") from None
    except (ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(part) for part in error.args)
        raise ValueError(f"identity_mappings[{number - 1}]: {reason}") from None


def _accounts_by(mapper: Any, identity: Mapping[str, Any]) -> list[str]:
    """Return the accounts of one document, the first match in front.

    A rule that asks for a property the identity lacks ends the document for that identity, as in the validator that
    Globus ships with its library. Assumption: Connect Server goes on with the next document then.
    """
    accounts: list[str] = []
    try:
        first = mapper.map_identity(identity)
        accounts += [first] if first else []
        for matches in mapper.map_identities([identity]):
            accounts += matches.get(identity["id"], [])
    except (ValueError, KeyError):
        return accounts
    return accounts

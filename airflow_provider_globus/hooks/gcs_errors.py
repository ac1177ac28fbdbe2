"""What Globus Connect Server gives as the reason of a refusal, in words, and what cures it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Before the result document that a data transfer node hands on when it lets nobody in.
_RESULT = re.compile(r"\d{3}[- ]GridFTP-JSON-Result:\s*")

#: Items of a list that a message shows at most.
_SHOWN = 5


@dataclass(frozen=True)
class Refusal:
    """
    A refusal of Globus Connect Server.

    :param said: its message, with the typed detail in words.
    :param advice: what to do; empty when the detail tells nothing that others would not.
    :param kind: type of the detail without its version, for example ``not_from_allowed_domain``.
    :param code: the error code, for example ``permission_denied``.
    :param required_scopes: scopes that are missing.
    :param authorization_parameters: what the login has to have, if Globus says so.
    """

    said: str
    advice: str
    kind: str = ""
    code: str = ""
    required_scopes: tuple[str, ...] = ()
    authorization_parameters: Mapping[str, Any] = field(default_factory=dict)


def refusal(body: Mapping[str, Any]) -> Refusal | None:
    """
    Read the reason from an error's document.

    :param body: a result document of the GCS Manager API, or an error of another service whose message holds one, as
        Globus Transfer's do when a collection refuses the login.
    :return: ``None`` when there is no such document.
    """
    result = body if _is_result(body) else _result_in(body.get("message"))
    if result is None:
        return None
    detail = result.get("detail")
    typed = detail if isinstance(detail, Mapping) else {}
    kind = str(typed.get("DATA_TYPE") or "").partition("#")[0]
    code = str(result.get("code") or "")
    message = " ".join(str(result.get("message") or "").split()).rstrip(".")
    words = _words(kind, typed) if kind else detail if isinstance(detail, str) else ""
    said = ": ".join(dict.fromkeys(part for part in (message, words) if part))
    parameters = result.get("authorization_parameters")
    return Refusal(
        said or code,
        _ADVICE.get(kind) or _ADVICE_BY_CODE.get(code, ""),
        kind,
        code,
        tuple(map(str, typed.get("required_scopes") or ())),
        parameters if isinstance(parameters, Mapping) else {},
    )


def _is_result(body: Mapping[str, Any]) -> bool:
    return str(body.get("DATA_TYPE", "")).startswith("result#")


def _result_in(message: Any) -> Mapping[str, Any] | None:
    """The result document in what a data transfer node said, which goes on behind it."""
    if not isinstance(message, str) or (found := _RESULT.search(message)) is None:
        return None
    try:
        result, _ = json.JSONDecoder().raw_decode(message, found.end())
    except ValueError:
        return None
    return result if isinstance(result, Mapping) else None


def _words(kind: str, detail: Mapping[str, Any]) -> str:
    return _IN_WORDS.get(kind, _any)(detail)


def _any(detail: Mapping[str, Any]) -> str:
    """A detail that this version does not know, as it is, but without what may be long."""
    kind = str(detail.get("DATA_TYPE")).partition("#")[0].replace("_", " ")
    facts = {name: value for name, value in detail.items() if name != "DATA_TYPE" and value not in (None, [], {})}
    return f"{kind} ({json.dumps(facts, default=str)[:200]})" if facts else kind


def _list(items: Any) -> str:
    listed = [str(item) for item in items or ()]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more or "none"


def _domain(detail: Mapping[str, Any]) -> str:
    return f"allowed domains are {_list(detail.get('allowed_domains'))}"


def _role(detail: Mapping[str, Any]) -> str:
    roles = [item for item in detail.get("roles") or () if isinstance(item, Mapping)]
    named = [
        f"{item.get('role')} of "
        + (f"the collection {item['collection']}" if item.get("collection") else "the endpoint")
        for item in roles
    ]
    return f"it takes the role {' or '.join(named[:_SHOWN])}" if named else "a role is missing"


def _scopes(detail: Mapping[str, Any]) -> str:
    return f"missing scopes: {_list(detail.get('required_scopes'))}"


def _invalid_credential(detail: Mapping[str, Any]) -> str:
    return f"the user credential {detail.get('user_credential_id', '')} is not valid (any more)".replace("  ", " ")


def _no_credential(detail: Mapping[str, Any]) -> str:
    accounts = [item for item in detail.get("accounts") or () if isinstance(item, Mapping)]
    named = _list(item.get("username") for item in accounts) if accounts else ""
    gateways = sorted({str(item["storage_gateway_id"]) for item in accounts if item.get("storage_gateway_id")})
    return (
        "no credential is registered"
        + (f" for the account {named}" if named else "")
        + (f" on the storage gateway {_list(gateways)}" if gateways else "")
    )


def _input(detail: Mapping[str, Any]) -> str:
    errors = [item for item in detail.get("errors") or () if isinstance(item, Mapping)]
    listed = [": ".join(str(item[key]) for key in ("property", "message") if item.get(key)) for item in errors]
    more = f"; and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return "; ".join(listed[:_SHOWN]) + more or "the document is not valid"


def _conflict(detail: Mapping[str, Any]) -> str:
    return f"in conflict with {_list(detail.get('resources'))}"


def _user(detail: Mapping[str, Any]) -> str:
    return f"no valid local account; mapped to {_list(detail.get('usernames'))}"


def _timeout(detail: Mapping[str, Any]) -> str:
    what = "multi-factor authentication" if detail.get("require_mfa") else "a recent login"
    who = f" of the identity {_list(detail['identities'])}" if detail.get("identities") else ""
    return f"it takes {what}{who}" + (" in this very session" if detail.get("high_assurance") else "")


def _subscription(detail: Mapping[str, Any]) -> str:
    level = detail.get("subscription_level")
    add_ons = detail.get("add_ons")
    wanted = [f"the level {level}" if level else "", f"the add-ons {_list(add_ons)}" if add_ons else ""]
    return f"it takes a Globus subscription with {' and '.join(filter(None, wanted)) or 'more features'}"


_IN_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "not_from_allowed_domain": _domain,
    "missing_required_role": _role,
    "missing_required_scopes": _scopes,
    "invalid_credential": _invalid_credential,
    "credential_not_found": _no_credential,
    "invalid_input": _input,
    "resource_conflict": _conflict,
    "invalid_user": _user,
    "authentication_timeout": _timeout,
    "subscription_required": _subscription,
    "collection_not_found": lambda detail: f"the collection {detail.get('collection_id', '')} no longer exists",
    "storage_gateway_not_found": lambda detail: (
        f"the storage gateway {detail.get('storage_gateway_id', '')} no longer exists"
    ),
    "not_resource_owner": lambda detail: f"the owner is the identity {detail.get('id', 'of somebody else')}",
    "id_not_in_identity_set": lambda detail: f"the identity {detail.get('id', '')} is not one of the caller's",
    "limit_exceeded": lambda detail: "a limit of the endpoint or its subscription is reached",
}

_ADVICE = {
    "not_from_allowed_domain": (
        "Use a connection with an identity of such a domain, or add its domain to allowed_domains of the storage "
        "gateway; service accounts are of the domain clients.auth.globus.org."
    ),
    "missing_required_role": (
        "Let an administrator of the endpoint give the identity of this connection the role: "
        "GlobusCreateCollectionRoleOperator, or the Roles tab of the web app."
    ),
    "missing_required_scopes": (
        "Log in again with the scope that is missing, and store that refresh token in the connection."
    ),
    "invalid_credential": (
        "Register the credential again with keys that are valid: GlobusCreateUserCredentialOperator with rotate=True. "
        "On a gateway with s3_requester_pays, it also takes requester_pays=True."
    ),
    "credential_not_found": "Register a credential on the storage gateway first: GlobusCreateUserCredentialOperator.",
    "invalid_input": "Correct what is named; nothing was changed at Globus.",
    "resource_conflict": "Change or delete what it conflicts with, or give another name.",
    "invalid_user": (
        "Correct the identity mapping of the storage gateway, or create the account on the storage, "
        "so that this identity has one there."
    ),
    "authentication_timeout": (
        "Log in again; a service account cannot, so use a guest collection or a gateway that is not high assurance."
    ),
    "subscription_required": "Let a subscription manager put the endpoint under a subscription that covers it.",
    "collection_not_found": "Its mapped collection was deleted: create the guest collection anew on another.",
    "storage_gateway_not_found": "Its storage gateway was deleted: create the collection anew on another.",
    "not_resource_owner": "Let the owner do it, or have the ownership changed.",
    "id_not_in_identity_set": "Give an identity that this connection's login holds.",
    "limit_exceeded": "Delete what is not needed, or ask the subscription manager for more.",
}

_ADVICE_BY_CODE = {
    "unprocessable_entity": "Correct what is named; nothing was changed at Globus.",
    "bad_request": "Correct what is named; nothing was changed at Globus.",
    "conflict": "Look at what is there: another task or person may have made it.",
    "exists": "Look at what is there: another task or person may have made it.",
}

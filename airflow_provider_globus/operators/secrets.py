"""Secrets that go to Globus Connect Server: out of an Airflow connection, and nowhere but into the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_globus.exceptions import GlobusConfigError
from airflow_provider_globus.ids import is_uuid

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_globus.operators.base import GlobusOperator

_KEY_TYPES = ("aws", "globus")


@dataclass(frozen=True)
class S3Keys:
    """A pair of S3 keys; its text does not show the secret."""

    key_id: str
    secret: str = field(repr=False)


def s3_keys(operator: GlobusOperator, conn_id: str) -> S3Keys:
    """
    S3 keys from a connection of type ``aws`` or ``globus``.

    ``aws``: login and password, or ``aws_access_key_id`` and ``aws_secret_access_key`` in the extra. ``globus``:
    ``s3_key_id`` and ``s3_secret_key`` in the extra, or login and password, unless these are a Globus app's.

    :raises GlobusConfigError: when the connection has no such pair, or one that does not last.
    """
    connection = _connection(conn_id)
    where = f"{type(operator).__name__}: the connection {conn_id!r}"
    if connection.conn_type not in _KEY_TYPES:
        raise GlobusConfigError(
            f"{where} is of type {connection.conn_type!r}.",
            advice="S3 keys are read from connections of type aws or globus.",
        )
    extra = connection.extra_dejson
    _refuse_temporary(where, extra)
    names = ("aws_access_key_id", "aws_secret_access_key")
    if connection.conn_type == "globus":
        names = ("s3_key_id", "s3_secret_key")
    key_id, secret = (extra.get(name) for name in names)
    if not (key_id or secret):
        key_id, secret = connection.login, connection.password
        if is_uuid(key_id):
            # A Globus app and its secret, which must not be sent for keys.
            key_id, secret = None, None
    if not (key_id and secret):
        raise GlobusConfigError(
            f"{where} holds no pair of S3 keys.",
            advice=f"Give the key's id as login and the secret as password, or {names[0]} and {names[1]} in the extra.",
        )
    _mask(secret)
    return S3Keys(str(key_id), str(secret))


def connection_secrets(operator: GlobusOperator, conn_id: str, names: Sequence[str]) -> dict[str, Any]:
    """
    Secret properties from a connection: from its extra by their names; its password is the first that is not there.

    :raises GlobusConfigError: when it has none of them.
    """
    connection = _connection(conn_id)
    extra = connection.extra_dejson
    secrets = {name: extra[name] for name in names if extra.get(name)}
    plain = [name for name in names if name not in secrets and name not in _DOCUMENTS]
    if connection.password and plain and not secrets:
        secrets[plain[0]] = connection.password
    if not secrets:
        raise GlobusConfigError(
            f"{type(operator).__name__}: the connection {conn_id!r} has none of: {', '.join(names)}.",
            advice="Put it into the connection's extra by that name.",
        )
    for value in secrets.values():
        _mask(value)
    return secrets


#: Secrets that are whole documents.
_DOCUMENTS = ("service_account_key", "boxAppSettings")


def _connection(conn_id: str) -> Connection:
    return BaseHook.get_connection(conn_id)


def _refuse_temporary(where: str, extra: dict[str, Any]) -> None:
    for name in ("aws_session_token", "role_arn", "profile_name"):
        if extra.get(name):
            raise GlobusConfigError(
                f"{where} has {name}: Globus keeps keys, and cannot use what expires or is looked up elsewhere.",
                advice="Use a connection with the long-lived access key of an IAM user.",
            )


def _mask(secret: Any) -> None:
    """Hide a secret in the task's log, whatever writes it there."""
    from airflow.sdk.log import mask_secret

    mask_secret(secret)

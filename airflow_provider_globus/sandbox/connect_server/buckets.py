"""The S3 service behind a storage gateway, with the keys of a user credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.storage.s3_buckets import S3Buckets, S3Keys, S3Options

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.connect_server.models import StorageGateway, UserCredential


def open_buckets(gateway: StorageGateway, credential: UserCredential | None) -> S3Buckets:
    """Return the buckets; without a credential, those that are open to everybody.

    :param credential: one that is valid: it has all that the gateway demands.
    """
    policies = gateway.policies
    options = S3Options(
        endpoint_url=policies.get("s3_endpoint"),
        buckets=tuple(policies.get("s3_buckets") or ()),
        requester_pays=bool(policies.get("s3_requester_pays")),
        storage_class=policies.get("s3_storage_class"),
        restore=bool(policies.get("s3_restore")),
    )
    if credential is None:
        return S3Buckets(options, [S3Keys(None, None)])
    return S3Buckets(options, _keys(credential))


def _keys(credential: UserCredential) -> list[S3Keys]:
    policies = credential.policies
    keys = [
        S3Keys(item.get("s3_key_id"), item.get("s3_secret_key"), tuple(item["path_prefixes"]))
        for item in policies.get("s3_multi_keys") or ()
        if item.get("s3_key_id") and item.get("s3_secret_key")
    ]
    if policies.get("s3_key_id"):
        keys.append(S3Keys(policies["s3_key_id"], policies.get("s3_secret_key")))
    return keys

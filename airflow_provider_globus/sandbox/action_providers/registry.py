"""Which action provider answers for a URL: the production ones, old hosts and new."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_globus.sandbox.action_providers.compute import ComputeV2Provider, ComputeV3Provider
from airflow_provider_globus.sandbox.action_providers.datacite import DataciteProvider
from airflow_provider_globus.sandbox.action_providers.notification import NotificationProvider
from airflow_provider_globus.sandbox.action_providers.operations import (
    CollectionInfoProvider,
    LegacyCollectionInfoProvider,
    LegacyListProvider,
    LegacyMkdirProvider,
    ListProvider,
    MkdirProvider,
    StatProvider,
)
from airflow_provider_globus.sandbox.action_providers.permissions import LegacyPermissionProvider, PermissionProvider
from airflow_provider_globus.sandbox.action_providers.search import SearchDeleteProvider, SearchIngestProvider
from airflow_provider_globus.sandbox.action_providers.simple import ExpressionEvalProvider, HelloWorldProvider
from airflow_provider_globus.sandbox.action_providers.transfer import (
    DeleteProvider,
    LegacyDeleteProvider,
    LegacyTransferProvider,
    TransferProvider,
)
from airflow_provider_globus.sandbox.action_providers.weboption import WaitForOptionProvider

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.action_providers.base import ActionProvider

_PROVIDERS: tuple[type[ActionProvider], ...] = (
    TransferProvider,
    LegacyTransferProvider,
    DeleteProvider,
    LegacyDeleteProvider,
    MkdirProvider,
    LegacyMkdirProvider,
    ListProvider,
    LegacyListProvider,
    StatProvider,
    CollectionInfoProvider,
    LegacyCollectionInfoProvider,
    PermissionProvider,
    LegacyPermissionProvider,
    ComputeV2Provider,
    ComputeV3Provider,
    SearchIngestProvider,
    SearchDeleteProvider,
    NotificationProvider,
    WaitForOptionProvider,
    HelloWorldProvider,
    ExpressionEvalProvider,
    DataciteProvider,
)
# The host had another name once.
_OLD_HOST, _NEW_HOST = "actions.automate.globus.org", "actions.globus.org"


@cache
def all_providers() -> tuple[ActionProvider, ...]:
    """Return every provider of the sandbox."""
    return tuple(provider() for provider in _PROVIDERS)


def provider_for(url: str) -> ActionProvider | None:
    """Return the provider of a URL; None when there is none."""
    return _by_url().get(normal_url(url))


def normal_url(url: str) -> str:
    """Return a URL in the one form that providers are known by."""
    parts = urlsplit(url.strip())
    host = _NEW_HOST if parts.netloc.lower() == _OLD_HOST else parts.netloc.lower()
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


@cache
def _by_url() -> dict[str, ActionProvider]:
    return {normal_url(url): provider for provider in all_providers() for url in provider.urls}

"""A sandbox with people, each with a client of Groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from globus_sdk import AccessTokenAuthorizer, GroupsAPIError, GroupsClient
from globus_sdk.scopes import GroupsScopes
from globus_sdk.transport import RetryConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.groups.models import Group


def client_of(sandbox: GlobusSandbox, identity_id: str | None, *names: str) -> GroupsClient:
    """A client of an identity, with all scopes of Groups or some; None has no token."""
    retries = RetryConfig(max_retries=0)
    if identity_id is None:
        return GroupsClient(retry_config=retries)
    token = sandbox.world.auth.issue(
        identity_id=identity_id,
        client_id=sandbox.client_id,
        resource_server="groups.api.globus.org",
        scopes=[getattr(GroupsScopes, name) for name in names or ("all",)],
    )
    return GroupsClient(authorizer=AccessTokenAuthorizer(token.value), retry_config=retries)


class Lab:
    """Who there is, and what they do; the default client is the admin of what `group` makes."""

    def __init__(self, sandbox: GlobusSandbox) -> None:
        self.sandbox = sandbox
        self.me = sandbox.client_id

    def person(self, name: str) -> str:
        """The id of a person, made when first named."""
        username = f"{name}@example.edu"
        known = self.sandbox.world.auth.identity_by_username(username)
        return (known or self.sandbox.add_identity(username)).id

    def client(self, who: str | None = None, *scopes: str) -> GroupsClient:
        return client_of(self.sandbox, self.person(who) if who else self.me, *scopes)

    def group(self, name: str = "beamline", **more: Any) -> Group:
        """A group; people are given by name."""
        for role in ("members", "managers"):
            more[role] = [self.person(one) for one in more.get(role, ())]
        return self.sandbox.add_group(name, **more)

    def act(self, kind: str, group: Group, *people: str, of: str | None = None, **more: Any) -> Any:
        """What somebody (the admin, unless said otherwise) does to people."""
        items = [{"identity_id": self.person(one), **more} for one in people]
        return self.client(of).batch_membership_action(group.id, {kind: items}).data

    def failed(self, kind: str, group: Group, *people: str, of: str | None = None, **more: Any) -> list[str]:
        """The codes of what cannot be done to people."""
        answer = self.act(kind, group, *people, of=of, **more)
        assert answer[kind] == []
        return [item["code"] for item in answer["errors"][kind]]


@pytest.fixture
def lab(globus_sandbox: GlobusSandbox) -> Lab:
    return Lab(globus_sandbox)


@pytest.fixture
def refused() -> Callable[[Callable[[], Any]], GroupsAPIError]:
    """Does something that is refused, and returns the refusal."""

    def do(act: Callable[[], Any]) -> GroupsAPIError:
        with pytest.raises(GroupsAPIError) as raised:
            act()
        return raised.value

    return do

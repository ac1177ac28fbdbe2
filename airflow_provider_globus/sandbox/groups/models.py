"""What the Groups service remembers: groups with their policies, and who is, was or may become a member."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

MEMBER, MANAGER, ADMIN = "member", "manager", "admin"
ACTIVE, INVITED, PENDING = "active", "invited", "pending"
REJECTED, REMOVED, LEFT, DECLINED = "rejected", "removed", "left", "declined"
STATUSES = (ACTIVE, INVITED, PENDING, REJECTED, REMOVED, LEFT, DECLINED)
AUTHENTICATED, PRIVATE = "authenticated", "private"
MEMBERS, MANAGERS = "members", "managers"

DEFAULT_SESSION_SECONDS = 28800


@dataclass(frozen=True)
class Policies:
    """Who may see a group and its members, and how people come to be in it; as of a new group, unless given."""

    is_high_assurance: bool = False
    authentication_assurance_timeout: int = DEFAULT_SESSION_SECONDS
    group_visibility: str = PRIVATE
    group_members_visibility: str = MANAGERS
    join_requests: bool = False
    signup_fields: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the policies as the service shows them."""
        return {
            "is_high_assurance": self.is_high_assurance,
            "authentication_assurance_timeout": self.authentication_assurance_timeout,
            "group_visibility": self.group_visibility,
            "group_members_visibility": self.group_members_visibility,
            "join_requests": self.join_requests,
            "signup_fields": list(self.signup_fields),
        }


@dataclass(frozen=True)
class Subscription:
    """A subscription, which members of the group that has it may use.

    :param connectors: by UUID, whether the subscription of a connector is for high assurance or protected health data:
        ``{"is_ha": …, "is_baa": …}``.
    """

    id: str
    name: str = "Sandbox subscription"
    subscriber_name: str = "Globus sandbox"
    is_high_assurance: bool = False
    is_baa: bool = False
    connectors: dict[str, dict[str, bool]] = field(default_factory=dict)

    def limited_document(self) -> dict[str, Any]:
        """Return what everybody may know of it."""
        return {"is_high_assurance": self.is_high_assurance, "is_baa": self.is_baa, "connectors": self.connectors}

    def document(self) -> dict[str, Any]:
        """Return what the group shows of it."""
        return {"name": self.name, "subscriber_name": self.subscriber_name, **self.limited_document()}


@dataclass(frozen=True)
class Membership:
    """What an identity is to a group; those who are in it no more have one, too.

    :param updated: when it last changed.
    """

    identity_id: str
    role: str
    status: str
    updated: float
    status_reason: str | None = None
    invite_email_address: str | None = None
    invite_time: float | None = None


@dataclass
class Group:
    """A group; who goes through its memberships takes a list of them, since others change them meanwhile.

    :param memberships: by identity.
    :param membership_fields: what identities have said of themselves, who need not be members yet.
    :param open_to_join: identities become members without anybody's approval.
    """

    id: str
    name: str
    description: str | None = None
    parent_id: str | None = None
    terms_and_conditions: str | None = None
    policies: Policies = field(default_factory=Policies)
    subscription: Subscription | None = None
    subscription_admin_verified_id: str | None = None
    open_to_join: bool = False
    memberships: dict[str, Membership] = field(default_factory=dict)
    membership_fields: dict[str, dict[str, str]] = field(default_factory=dict)

    def status_of(self, identity_id: str) -> str | None:
        """Return the status of an identity's own membership; None without one."""
        membership = self.memberships.get(identity_id)
        return membership.status if membership else None

    def role_of(self, identity_id: str) -> str | None:
        """Return the role of an identity's own membership; None unless that is active."""
        membership = self.memberships.get(identity_id)
        return membership.role if membership and membership.status == ACTIVE else None

    def admins(self) -> list[str]:
        """Return the identities that are active admins."""
        return [item.identity_id for item in list(self.memberships.values()) if self.role_of(item.identity_id) == ADMIN]

    def copy(self) -> Group:
        """Return a group that changes of this one do not reach."""
        fields = {identity: dict(given) for identity, given in self.membership_fields.items()}
        return replace(self, memberships=dict(self.memberships), membership_fields=fields)

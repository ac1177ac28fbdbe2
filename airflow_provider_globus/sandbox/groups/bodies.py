"""What the Groups service is sent, checked with the models of its published schema.

The service is made with FastAPI, so pydantic says of a wrong document what the service says of it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from airflow_provider_globus.sandbox import json_text
from airflow_provider_globus.sandbox.groups import errors

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest

_T = TypeVar("_T")
Role: TypeAlias = Literal["member", "manager", "admin"]
SignupField: TypeAlias = Literal[
    "institution",
    "current_project_name",
    "address",
    "city",
    "state",
    "country",
    "address1",
    "address2",
    "zip",
    "phone",
    "department",
    "field_of_science",
]


class PolicyChanges(BaseModel):
    """Policies; what is left out, or null, stays as it is."""

    is_high_assurance: bool | None = None
    authentication_assurance_timeout: int | None = Field(default=None, gt=0)
    group_visibility: Literal["authenticated", "private"] | None = None
    group_members_visibility: Literal["members", "managers"] | None = None
    join_requests: bool | None = None
    signup_fields: list[SignupField] | None = None

    def given(self) -> dict[str, Any]:
        """Return the policies that are to change."""
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


class NewGroup(BaseModel):
    """A group to be created."""

    name: str
    description: str | None = None
    terms_and_conditions: str | None = None
    parent_id: uuid.UUID | None = None
    policies: PolicyChanges | None = None


class GroupChanges(BaseModel):
    """What is to change of a group; what is left out stays as it is."""

    name: str | None = None
    description: str | None = None
    terms_and_conditions: str | None = None
    subscription_admin_verified_id: uuid.UUID | None = None


class VerifiedSubscription(BaseModel):
    """The subscription that a group shall belong to; null is none."""

    subscription_admin_verified_id: uuid.UUID | None


class Action(BaseModel):
    """Something to be done to the membership of one identity."""

    identity_id: uuid.UUID
    status_reason: str | None = None


class RoleAction(Action):
    """The same, with the role that the identity shall have."""

    role: Role | None = "member"


class Invitation(RoleAction):
    """An invitation; e-mail is not sent."""

    invite_email_address: str | None = None


class Actions(BaseModel):
    """A batch of actions, by kind."""

    accept: list[Action] | None = None
    add: list[RoleAction] | None = None
    approve: list[Action] | None = None
    change_role: list[RoleAction] | None = None
    decline: list[Action] | None = None
    invite: list[Invitation] | None = None
    join: list[Action] | None = None
    leave: list[Action] | None = None
    reject: list[Action] | None = None
    remove: list[Action] | None = None
    request_join: list[Action] | None = None

    def given(self) -> dict[str, list[Action]]:
        """Return the actions of each kind that was sent."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: items for name, items in found.items() if items is not None}


class Preferences(BaseModel):
    """What an identity wants: whether others may add it to groups."""

    allow_add: bool | None


class MembershipFields(BaseModel):
    """What an identity tells a group of itself."""

    first_name: str | None = None
    last_name: str | None = None
    organization: str | None = None
    institution: str | None = None
    current_project_name: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    address1: str | None = None
    address2: str | None = None
    zip: str | None = None
    phone: str | None = None
    department: str | None = None
    field_of_science: str | None = None

    def given(self) -> dict[str, str]:
        """Return the fields that say something."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


NEW_GROUP, GROUP_CHANGES = TypeAdapter(NewGroup), TypeAdapter(GroupChanges)
POLICY_CHANGES, VERIFIED_SUBSCRIPTION = TypeAdapter(PolicyChanges), TypeAdapter(VerifiedSubscription)
ACTIONS = TypeAdapter(Actions)
PREFERENCES = TypeAdapter(dict[uuid.UUID, Preferences])
MEMBERSHIP_FIELDS = TypeAdapter(dict[uuid.UUID, MembershipFields])


def read(request: ServiceRequest, wanted: TypeAdapter[_T]) -> _T:
    """Return what was sent, or refuse it as FastAPI does."""
    try:
        document = json_text.read(request.body)
    except ValueError as error:
        where = getattr(error, "pos", 0)
        raise errors.invalid([{"loc": ("body", where), "msg": "JSON decode error", "type": "json_invalid"}]) from None
    return _checked(wanted, document, ("body",))


def id_in_path(request: ServiceRequest, name: str) -> str:
    """Return a UUID of the path, or refuse what is none."""
    return str(_checked(_UUID, request.path_params[name], ("path", name)))


_UUID = TypeAdapter(uuid.UUID)


def _checked(wanted: TypeAdapter[_T], value: Any, where: tuple[str, ...]) -> _T:
    try:
        return wanted.validate_python(value)
    except ValidationError as error:
        raise errors.invalid({**item, "loc": (*where, *item["loc"])} for item in error.errors()) from None

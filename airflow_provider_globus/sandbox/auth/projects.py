"""Projects, to which clients and policies belong, and who administers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Project:
    """What clients and policies belong to; its administrators are identities and groups."""

    id: str
    display_name: str
    contact_email: str
    admin_ids: tuple[str, ...] = ()
    admin_group_ids: tuple[str, ...] = ()

    def document(self, identities: list[dict[str, Any]], groups: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the project as Auth shows it, with the documents of its administrators."""
        return {
            "id": self.id,
            "display_name": self.display_name,
            "project_name": self.display_name,
            "contact_email": self.contact_email,
            "admin_ids": list(self.admin_ids) or None,
            "admin_group_ids": list(self.admin_group_ids) or None,
            "admins": {"identities": identities, "groups": groups},
        }


@dataclass(frozen=True)
class Policy:
    """Who may be in a session, and how fresh their login must be.

    :param authentication_assurance_timeout: in how many seconds a login has to be repeated.
    """

    id: str
    project_id: str
    display_name: str
    description: str
    high_assurance: bool = False
    authentication_assurance_timeout: int | None = None
    required_mfa: bool = False
    domain_constraints_include: tuple[str, ...] | None = None
    domain_constraints_exclude: tuple[str, ...] | None = None

    def admits(self, domain: str) -> bool:
        """Tell whether identities of a domain can satisfy the policy."""
        include, exclude = self.domain_constraints_include, self.domain_constraints_exclude
        return (include is None or domain in include) and (exclude is None or domain not in exclude)

    def document(self) -> dict[str, Any]:
        """Return the policy as Auth shows it."""
        include, exclude = self.domain_constraints_include, self.domain_constraints_exclude
        return {
            "id": self.id,
            "project_id": self.project_id,
            "display_name": self.display_name,
            "description": self.description,
            "high_assurance": self.high_assurance,
            "authentication_assurance_timeout": self.authentication_assurance_timeout,
            "required_mfa": self.required_mfa,
            "domain_constraints_include": None if include is None else list(include),
            "domain_constraints_exclude": None if exclude is None else list(exclude),
        }


class Projects:
    """The projects and policies of one sandbox; what it hands out is never changed, only replaced."""

    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.policies: dict[str, Policy] = {}
        self.mark()

    def mark(self) -> None:
        """Remember what there is as what `reset` goes back to."""
        self._base = dict(self.projects), dict(self.policies)

    def reset(self) -> None:
        """Go back to what was marked."""
        projects, policies = self._base
        self.projects, self.policies = dict(projects), dict(policies)

"""Projects and policies: ``/v2/api/projects`` and ``/v2/api/policies``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth import errors
from airflow_provider_globus.sandbox.auth.access import MANAGE_PROJECTS, administers, by, project_for
from airflow_provider_globus.sandbox.auth.fields import flag, line, list_of, or_null, seconds, sent, text, uuid_text
from airflow_provider_globus.sandbox.auth.projects import Policy, Project
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest

_PROJECT = {
    "display_name": line,
    "contact_email": line,
    "admin_ids": or_null(list_of(uuid_text)),
    "admin_group_ids": or_null(list_of(uuid_text)),
}
_POLICY_UPDATE = {
    "project_id": uuid_text,
    "display_name": line,
    "description": text,
    "authentication_assurance_timeout": seconds,
    "required_mfa": flag,
    "domain_constraints_include": or_null(list_of(line)),
    "domain_constraints_exclude": or_null(list_of(line)),
}
_POLICY = {**_POLICY_UPDATE, "high_assurance": flag}


# Projects


def _project_answer(request: ServiceRequest, project: Project, status: int = 200) -> Answer:
    return Answer({"project": _document(request, project)}, status)


def _document(request: ServiceRequest, project: Project) -> dict[str, Any]:
    identities = [request.world.auth.identity(item) for item in project.admin_ids]
    groups = [
        {"id": group.id, "name": group.name, "description": group.description, "organization": None}
        for group in request.world.groups.all()
        if group.id in project.admin_group_ids
    ]
    return project.document([identity.document() for identity in identities if identity is not None], groups)


def _checked(request: ServiceRequest, project: Project) -> Project:
    """Return a project that has administrators, all of whom there are."""
    if not project.admin_ids and not project.admin_group_ids:
        raise errors.bad_request("A project needs an administrator: admin_ids or admin_group_ids")
    auth = request.world.auth
    if unknown := [item for item in project.admin_ids if auth.identity(item) is None]:
        raise errors.bad_request(f"There is no identity {', '.join(unknown)}")
    groups = {group.id for group in request.world.groups.all()}
    if unknown := [item for item in project.admin_group_ids if item not in groups]:
        raise errors.bad_request(f"There is no group {', '.join(unknown)}")
    return project


def _project_fields(request: ServiceRequest, *required: str) -> dict[str, Any]:
    fields = sent(request, "project", _PROJECT, required)
    return {name: () if value is None else value for name, value in fields.items()}


def _list_projects(request: ServiceRequest) -> Answer:
    mine = [p for p in list(request.world.auth.projects.projects.values()) if administers(request, p)]
    return Answer({"projects": [_document(request, project) for project in mine]})


def _create_project(request: ServiceRequest) -> Answer:
    fields = _project_fields(request, "display_name", "contact_email")
    project = _checked(request, Project(id=request.world.new_id(), **fields))
    request.world.auth.projects.projects[project.id] = project
    return _project_answer(request, project, 201)


def _get_project(request: ServiceRequest) -> Answer:
    return _project_answer(request, project_for(request, request.path_params["project_id"]))


def _update_project(request: ServiceRequest) -> Answer:
    project = project_for(request, request.path_params["project_id"])
    project = _checked(request, replace(project, **_project_fields(request)))
    request.world.auth.projects.projects[project.id] = project
    return _project_answer(request, project)


def _delete_project(request: ServiceRequest) -> Answer:
    project = project_for(request, request.path_params["project_id"])
    auth = request.world.auth
    held = [client.id for client in auth.clients() if client.project == project.id]
    held += [policy.id for policy in list(auth.projects.policies.values()) if policy.project_id == project.id]
    if held:
        raise errors.conflict(f"The project is not empty: delete {', '.join(held)} first")
    answer = _project_answer(request, project)
    auth.projects.projects.pop(project.id, None)
    return answer


# Policies


def _policy_answer(policy: Policy, status: int = 200) -> Answer:
    return Answer({"policy": policy.document()}, status)


def _consistent(policy: Policy) -> Policy:
    if policy.required_mfa and not policy.high_assurance:
        raise errors.bad_request("required_mfa is for high-assurance policies only")
    return policy


def _policy_for(request: ServiceRequest) -> Policy:
    policy_id = request.path_params["policy_id"]
    policy = request.world.auth.projects.policies.get(policy_id)
    if policy is None:
        raise errors.not_found("policy", policy_id)
    project_for(request, policy.project_id)
    return policy


def _list_policies(request: ServiceRequest) -> Answer:
    projects = request.world.auth.projects
    mine = {project.id for project in list(projects.projects.values()) if administers(request, project)}
    found = [policy.document() for policy in list(projects.policies.values()) if policy.project_id in mine]
    return Answer({"policies": found})


def _create_policy(request: ServiceRequest) -> Answer:
    fields = sent(request, "policy", _POLICY, ("project_id", "display_name", "description"))
    project_for(request, fields["project_id"])
    policy = _consistent(Policy(id=request.world.new_id(), **fields))
    request.world.auth.projects.policies[policy.id] = policy
    return _policy_answer(policy, 201)


def _get_policy(request: ServiceRequest) -> Answer:
    return _policy_answer(_policy_for(request))


def _update_policy(request: ServiceRequest) -> Answer:
    policy = _policy_for(request)
    policy = _consistent(replace(policy, **sent(request, "policy", _POLICY_UPDATE)))
    project_for(request, policy.project_id)
    request.world.auth.projects.policies[policy.id] = policy
    return _policy_answer(policy)


def _delete_policy(request: ServiceRequest) -> Answer:
    policy = _policy_for(request)
    request.world.auth.projects.policies.pop(policy.id, None)
    return _policy_answer(policy)


ROUTES = tuple(
    Route(method, path, handler, authorize=by(MANAGE_PROJECTS), basis=Basis.RECORDED)
    for method, path, handler in (
        ("GET", "/v2/api/projects", _list_projects),
        ("POST", "/v2/api/projects", _create_project),
        ("GET", "/v2/api/projects/{project_id}", _get_project),
        ("PUT", "/v2/api/projects/{project_id}", _update_project),
        ("DELETE", "/v2/api/projects/{project_id}", _delete_project),
        ("GET", "/v2/api/policies", _list_policies),
        ("POST", "/v2/api/policies", _create_policy),
        ("GET", "/v2/api/policies/{policy_id}", _get_policy),
        ("PUT", "/v2/api/policies/{policy_id}", _update_policy),
        ("DELETE", "/v2/api/policies/{policy_id}", _delete_policy),
    )
)

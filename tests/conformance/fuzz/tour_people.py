"""Tokens, clients of developers, logins and groups: who there is to ask, and to be asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conformance.fuzz.site import Site


def auth(site: Site) -> None:
    auth = site.sandbox.world.auth
    scope = (
        "urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{}/data_access] openid email"
    )
    wanted = scope.format(site.ids["collection_id"][0])
    refresh = auth.add_refresh_token(site.me, wanted.partition(" ")[0]).value
    token = "/v2/oauth2/token"
    first = site.ask("auth", "POST", token, form={"grant_type": "client_credentials", "scope": wanted}, basic=True)
    site.ask(
        "auth", "POST", token, form={"grant_type": "refresh_token", "refresh_token": refresh, "scope": ""}, basic=True
    )
    site.secrets |= {refresh, first["access_token"]}
    about = {"token": first["access_token"], "include": "identity_set,identity_set_detail,session_info"}
    site.ask("auth", "POST", f"{token}/introspect", form=about, basic=True)
    site.ask("auth", "POST", f"{token}/revoke", form={"token": "x"}, basic=True)
    site.ask(
        "auth",
        "GET",
        "/v2/api/identities",
        usernames="ada@example.org,x",
        provision="false",
        include="identity_provider",
    )
    site.ask("auth", "GET", "/v2/api/identities", ids=f"{site.me},x")


def developers(site: Site) -> None:
    ask = site.ask
    project = {"display_name": "x", "contact_email": "a@example.org", "admin_ids": [site.me], "admin_group_ids": None}
    made = site.keep("project_id", ask("auth", "POST", "/v2/api/projects", {"project": project})["project"]["id"])
    ask("auth", "PUT", f"/v2/api/projects/{made}", {"project": {"display_name": "y", "contact_email": "b@example.org"}})
    policy = {
        "project_id": made,
        "display_name": "x",
        "description": "y",
        "high_assurance": True,
        "required_mfa": False,
        "authentication_assurance_timeout": 60,
        "domain_constraints_include": ["example.org"],
        "domain_constraints_exclude": None,
    }
    about = site.keep("policy_id", ask("auth", "POST", "/v2/api/policies", {"policy": policy})["policy"]["id"])
    ask("auth", "PUT", f"/v2/api/policies/{about}", {"policy": {"display_name": "z", "project_id": made}})
    client = {
        "name": "x",
        "project": made,
        "client_type": "confidential_client",
        "visibility": "private",
        "redirect_uris": ["https://example.org/back"],
        "required_idp": None,
        "preselect_idp": None,
        "links": {"terms_and_conditions": "https://example.org/t", "privacy_policy": "https://example.org/p"},
    }
    answer = ask("auth", "POST", "/v2/api/clients", {"client": client})
    child = site.keep("client_id", answer["client"]["id"], site.me)
    ask("auth", "PUT", f"/v2/api/clients/{child}", {"client": {"name": "z", "visibility": "public"}})
    secret = ask("auth", "POST", f"/v2/api/clients/{child}/credentials", {"credential": {"name": "x"}})["credential"]
    site.keep("credential_id", secret["id"])
    site.secrets.add(secret["secret"])
    scope = {
        "name": "x",
        "description": "y",
        "scope_suffix": "all",
        "advertised": True,
        "allows_refresh_token": True,
        "required_domains": [],
        "dependent_scopes": [],
    }
    answer = ask("auth", "POST", f"/v2/api/clients/{child}/scopes", {"scope": scope})
    given = site.keep("scope_id", answer["scope"]["id"])
    ask("auth", "PUT", f"/v2/api/scopes/{given}", {"scope": {"name": "z", "advertised": False}})
    ask("auth", "GET", "/v2/api/scopes", scope_strings="urn:globus:auth:scope:transfer.api.globus.org:all,openid")
    ask("auth", "GET", "/v2/api/identity_providers", domains="example.org")


def logins(site: Site) -> None:
    native = site.sandbox.world.auth.add_client("native", public=True)
    page = "https://auth.globus.org/v2/web/auth-code"
    query: dict[str, Any] = {
        "client_id": native.id,
        "redirect_uri": page,
        "response_type": "code",
        "scope": "openid email",
        "state": "_default",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "login",
        "session_required_identities": site.ids["identity_id"][2],
        "session_message": "x",
    }
    site.ask("auth", "GET", "/v2/oauth2/authorize", **query)
    form = {"decision": "allow", "identity": site.ids["identity_id"][2], "mfa": "on"}
    site.ask("auth", "POST", "/v2/oauth2/authorize", form=form, **query)
    site.ask("auth", "GET", "/v2/web/auth-code", code="x")


def groups(site: Site) -> None:
    ada = site.ids["identity_id"][2]
    subscription = site.keep("subscription_id", "5a4db0c5-0000-4000-8000-0000000000aa")
    owner = site.sandbox.add_group("subscribed", subscription={"id": subscription, "is_high_assurance": True}).id
    policies = {
        "is_high_assurance": False,
        "authentication_assurance_timeout": 28800,
        "group_visibility": "authenticated",
        "group_members_visibility": "members",
        "join_requests": True,
        "signup_fields": ["zip"],
    }
    document = {"name": "x", "description": "x", "terms_and_conditions": "x", "parent_id": owner, "policies": policies}
    group = site.keep("group_id", site.ask("groups", "POST", "/v2/groups", document)["id"], owner)
    one = f"/v2/groups/{group}"
    invitation = {"identity_id": ada, "role": "manager", "status_reason": "x", "invite_email_address": "a@b.org"}
    site.ask(
        "groups", "PUT", f"{one}/membership_fields", {site.ids["other"][0]: {"zip": "1", "city": None}}, who="other"
    )
    site.ask("groups", "POST", one, {"request_join": [{"identity_id": site.ids["other"][0]}]}, who="other")
    site.ask(
        "groups",
        "POST",
        one,
        {"invite": [invitation], "approve": [{"identity_id": site.ids["other"][0], "status_reason": "y"}]},
    )
    site.ask(
        "groups",
        "PUT",
        one,
        {"name": "y", "description": None, "terms_and_conditions": None, "subscription_admin_verified_id": None},
    )
    site.ask("groups", "PUT", f"{one}/policies", policies)
    site.ask("groups", "PUT", f"{one}/subscription_admin_verified", {"subscription_admin_verified_id": subscription})
    site.ask("groups", "PUT", "/v2/preferences", {site.me: {"allow_add": True}})
    site.ask("groups", "GET", one, include="memberships,my_memberships,policies,allowed_actions,child_ids")
    site.ask("groups", "GET", "/v2/groups/my_groups", statuses="active,invited")

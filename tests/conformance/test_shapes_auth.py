"""Auth's answers have the keys and types of the SDK's recordings."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import globus_sdk
import jwt
import pytest
from globus_sdk.scopes import AuthScopes, GCSCollectionScopes, GroupsScopes, TransferScopes
from globus_sdk.testing import get_response_set
from globus_sdk.transport import RetryConfig

from airflow_provider_globus.sandbox.auth.projects import Policy
from airflow_provider_globus.sandbox.auth.scopes import ScopeDefinition
from tests.conformance import shapes
from tests.conformance.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox import GlobusSandbox
    from airflow_provider_globus.sandbox.auth.models import Client, Identity

NO_RETRY = RetryConfig(max_retries=0)
PERSON = {"username": "ada@example.org", "name": "Ada", "email": "ada@example.org", "organization": "Analytical"}
REDIRECT = "https://example.org/callback"


class Site:
    """Auth, by a service account that administers a project, and by a person."""

    def __init__(self, sandbox: GlobusSandbox) -> None:
        self.sandbox = sandbox
        self.auth = sandbox.world.auth
        self.me = sandbox.client_id
        self.login = globus_sdk.ConfidentialAppAuthClient(self.me, sandbox.client_secret)

    @property
    def client(self) -> globus_sdk.AuthClient:
        """Auth, as the service account."""
        scopes = [AuthScopes.manage_projects, AuthScopes.view_identity_set]
        return auth_client(self.login.oauth2_client_credentials_tokens(requested_scopes=scopes)["access_token"])

    @property
    def person(self) -> Identity:
        return self.auth.identity_by_username(PERSON["username"]) or self.sandbox.add_identity(**PERSON)

    def project(self, project_id: Any = None) -> str:
        return self.auth.add_project("Guardians", admins=[self.me], id=project_id and str(project_id)).id

    def add_client(self, client_id: Any = None, **more: Any) -> Client:
        project = more.pop("project", None) or self.project()
        return self.auth.add_client("FOO", id=client_id and str(client_id), project=project, **more)

    def add_scope(self, scope_id: Any = None, suffix: str = "manage") -> ScopeDefinition:
        found = str(scope_id or self.sandbox.world.new_id())
        definition = ScopeDefinition(found, self.add_client().id, suffix, "Client manage scope", "Manage clients")
        self.auth.scopes.define(definition)
        return definition

    def add_policy(self, policy_id: Any = None, **more: Any) -> Policy:
        found = str(policy_id or self.sandbox.world.new_id())
        policy = Policy(found, self.project(), "GreenLight", "Only @greenlight.org", high_assurance=True, **more)
        self.auth.projects.policies[found] = policy
        return policy

    def with_providers(self, args: dict[str, Any]) -> dict[str, Any]:
        """Make the identity providers known that a recorded call names."""
        for name in ("required_idp", "preselect_idp"):
            if name in args:
                self.auth.add_identity_provider(name, id=args[name])
        return args

    def with_dependents(self, args: dict[str, Any]) -> dict[str, Any]:
        """Make the scopes known that a recorded call wants to depend on."""
        for number, dependent in enumerate(args.get("dependent_scopes", ())):
            self.add_scope(dependent["scope"], f"dependent_{number}")
        return args


def auth_client(token: str) -> globus_sdk.AuthClient:
    return globus_sdk.AuthClient(authorizer=globus_sdk.AccessTokenAuthorizer(token), retry_config=NO_RETRY)


def args_of(set_name: str, case: str) -> dict[str, Any]:
    """Return what the SDK's own test calls the method with."""
    return dict(shapes.recording(f"auth.{set_name}", case).metadata["args"])


@pytest.fixture
def site(globus_sandbox: GlobusSandbox) -> Site:
    return Site(globus_sandbox)


# Clients


def _create_client(site: Site, case: str) -> Any:
    args = site.with_providers(args_of("create_client", case))
    site.project(args["project"])
    return site.client.create_client(**args)


def _create_child_client(site: Site, case: str) -> Any:
    return site.login.create_child_client(**site.with_providers(args_of("create_child_client", case)))


def _create_instance(site: Site, case: str) -> Any:
    args = args_of("create_native_app_instance", case)
    site.auth.add_client("native", id=str(args["template_id"]), public=True)
    return globus_sdk.NativeAppAuthClient(args["template_id"]).create_native_app_instance(**args)


def _update_client(site: Site, case: str) -> Any:
    args = site.with_providers(args_of("update_client", case))
    site.add_client(args["client_id"], public=True)
    return site.client.update_client(**args)


def _get_client_by_name(site: Site) -> Any:
    site.add_client(fqdns=("globus.org",))
    return site.client.get_client(fqdn="globus.org")


def _get_clients(site: Site) -> Any:
    site.add_client()
    return site.client.get_clients()


def _delete_credential(site: Site) -> Any:
    client = site.add_client()
    return site.client.delete_client_credential(client.id, client.credentials[0].id)


# Scopes


def _create_scope(site: Site, case: str) -> Any:
    args = site.with_dependents(args_of("create_scope", case))
    site.add_client(args["client_id"])
    return site.client.create_scope(**args)


def _update_scope(site: Site, case: str) -> Any:
    args = site.with_dependents(args_of("update_scope", case))
    site.add_scope(args["scope_id"])
    return site.client.update_scope(**args)


def _get_scopes(site: Site, by: str | None = None) -> Any:
    definition = site.add_scope()
    wanted: dict[str, Any] = {
        None: {},
        "id": {"ids": definition.id},
        "string": {"scope_strings": definition.scope_string},
    }[by]
    return site.client.get_scopes(**wanted)


# Projects and policies


def _project_args(site: Site, case: str) -> dict[str, Any]:
    about: dict[str, Any] = {"display_name": "Guardians of the Galaxy", "contact_email": "support@globus.org"}
    if case == "admin_group":
        return about | {"admin_group_ids": [site.sandbox.add_group("guardians", members=[site.me]).id]}
    return about | {"admin_ids": [site.person.id, site.me]}


def _get_projects(site: Site) -> Any:
    site.project()
    return site.client.get_projects()


def _create_policy(site: Site, case: str) -> Any:
    args = args_of("create_policy", case)
    site.project(args["project_id"])
    return site.client.create_policy(**args)


def _update_policy(site: Site, case: str) -> Any:
    args = args_of("update_policy", case)
    policy = site.add_policy(args["policy_id"])
    if "project_id" in args:
        site.project(args["project_id"])
    assert policy.high_assurance
    return site.client.update_policy(**args)


def _get_policies(site: Site) -> Any:
    site.add_policy(domain_constraints_include=("greenlight.org",), authentication_assurance_timeout=35)
    return site.client.get_policies()


# Identities


def _identities(site: Site, case: str) -> Any:
    recorded = shapes.recorded("auth.get_identities", case)["identities"]
    for document in recorded:
        about = {name: document[name] for name in ("username", "id", "name", "email", "organization", "status")}
        site.sandbox.add_identity(**about)
    usernames = [document["username"] for document in recorded] or ["nobody@example.org"]
    return site.client.get_identities(usernames=usernames)


def _providers(site: Site, case: str) -> Any:
    wanted = shapes.recording("auth.get_identity_providers", case).metadata
    if case == "default":
        return site.client.get_identity_providers(domains=wanted["domains"])
    return site.client.get_identity_providers(ids=wanted["id"])


def _consents(site: Site) -> Any:
    collection = site.sandbox.add_collection("mapped", "/tmp").id
    scope = TransferScopes.all.with_dependency(GCSCollectionScopes(collection).data_access.with_optional(True))
    tokens = log_in(site, [scope, AuthScopes.openid], refresh_tokens=True)
    return auth_client(tokens.by_resource_server["auth.globus.org"]["access_token"]).get_consents(site.person.id)


# Tokens


def log_in(site: Site, scopes: list[Any], *, refresh_tokens: bool = False) -> globus_sdk.OAuthTokenResponse:
    """Get tokens of a person, as a web application does."""
    app = site.add_client(redirect_uris=(REDIRECT,))
    client = globus_sdk.ConfidentialAppAuthClient(app.id, app.secret or "")
    client.oauth2_start_flow(REDIRECT, scopes, refresh_tokens=refresh_tokens)
    return client.oauth2_exchange_code_for_tokens(
        site.sandbox.log_in(client.oauth2_get_authorize_url(), site.person.username)
    )


def _bad_code(site: Site) -> Any:
    site.login.oauth2_start_flow(REDIRECT, [AuthScopes.openid])
    return site.login.oauth2_exchange_code_for_tokens("nonsense")


def _dependent_tokens(site: Site, *, refresh_tokens: bool = False) -> Any:
    service = site.add_client()
    dependent = {
        "scope": site.auth.scopes.id_of(str(GroupsScopes.view_my_groups_and_memberships)),
        "optional": False,
        "requires_refresh_token": False,
    }
    made = site.client.create_scope(service.id, "All", "Everything", "all", dependent_scopes=[dependent])  # type: ignore[list-item]
    scope = made["scope"]["scope_string"]
    token = site.login.oauth2_client_credentials_tokens(requested_scopes=scope)["access_token"]
    resource_server = globus_sdk.ConfidentialAppAuthClient(service.id, service.secret or "")
    return resource_server.oauth2_get_dependent_tokens(token, refresh_tokens=refresh_tokens)


def _revoke(site: Site) -> Any:
    token = site.login.oauth2_client_credentials_tokens(requested_scopes="openid")["access_token"]
    return site.login.oauth2_revoke_token(token)


def _introspect(site: Site) -> Any:
    scopes = [AuthScopes.view_identity_set, AuthScopes.profile, AuthScopes.email, AuthScopes.openid]
    return site.login.oauth2_token_introspect(log_in(site, scopes)["access_token"])


def _userinfo_without_openid(site: Site) -> Any:
    token = site.login.oauth2_client_credentials_tokens(requested_scopes="email")["access_token"]
    return auth_client(token).userinfo()


NOBODY = partial(globus_sdk.AuthClient, authorizer=globus_sdk.NullAuthorizer(), retry_config=NO_RETRY)

#: Recorded sets of one method, called with many arguments.
METHODS: dict[str, Callable[[Site, str], Any]] = {
    "create_client": _create_client,
    "create_child_client": _create_child_client,
    "create_native_app_instance": _create_instance,
    "create_client_credential": lambda site, case: site.client.create_client_credential(site.add_client().id, case),
    "create_policy": _create_policy,
    "create_project": lambda site, case: site.client.create_project(**_project_args(site, case)),
    "create_scope": _create_scope,
    "get_identity_providers": _providers,
    "update_client": _update_client,
    "update_policy": _update_policy,
    "update_project": lambda site, case: site.client.update_project(site.project(), **_project_args(site, case)),
    "update_scope": _update_scope,
}
SCENARIOS: dict[str, Callable[[Site], Any]] = {
    **{
        f"{name}:{case}": lambda site, method=method, case=case: method(site, case)  # type: ignore[misc]
        for name, method in METHODS.items()
        for case in get_response_set(f"auth.{name}").cases()
    },
    "delete_client:default": lambda site: site.client.delete_client(site.add_client().id),
    "delete_client_credential:default": _delete_credential,
    "delete_policy:default": lambda site: site.client.delete_policy(site.add_policy().id),
    "delete_project:default": lambda site: site.client.delete_project(site.project()),
    "delete_scope:default": lambda site: site.client.delete_scope(site.add_scope().id),
    "get_client:default": lambda site: site.client.get_client(client_id=site.add_client().id),
    "get_client:fqdn": _get_client_by_name,
    "get_client_credentials:default": lambda site: site.client.get_client_credentials(site.add_client().id),
    "get_clients:default": _get_clients,
    "get_consents:default": _consents,
    **{
        f"get_identities:{case}": partial(_identities, case=case)
        for case in ("default", "empty", "multiple", "globusid", "sirosen")
    },
    "get_identities:unauthorized": lambda site: NOBODY().get_identities(usernames=PERSON["username"]),
    "get_policies:default": _get_policies,
    "get_policy:default": lambda site: site.client.get_policy(site.add_policy().id),
    "get_project:default": lambda site: site.client.get_project(site.project()),
    "get_projects:default": _get_projects,
    "get_scope:default": lambda site: site.client.get_scope(site.add_scope().id),
    "get_scopes:default": _get_scopes,
    "get_scopes:id": partial(_get_scopes, by="id"),
    "get_scopes:string": partial(_get_scopes, by="string"),
    "oauth2_client_credentials_tokens:default": lambda site: site.login.oauth2_client_credentials_tokens(
        requested_scopes=TransferScopes.all
    ),
    "oauth2_client_credentials_tokens:openid": lambda site: site.login.oauth2_client_credentials_tokens(
        requested_scopes=AuthScopes.openid
    ),
    "oauth2_exchange_code_for_tokens:default": lambda site: log_in(site, [TransferScopes.all]),
    "oauth2_exchange_code_for_tokens:invalid_grant": _bad_code,
    "oauth2_exchange_code_for_tokens:openid": lambda site: log_in(site, [AuthScopes.openid]),
    "oauth2_get_dependent_tokens:groups": _dependent_tokens,
    "oauth2_get_dependent_tokens:groups_with_refresh_token": partial(_dependent_tokens, refresh_tokens=True),
    "oauth2_revoke_token:default": _revoke,
    "oauth2_token_introspect:default": _introspect,
    "userinfo:unauthorized": lambda site: NOBODY().userinfo(),
    "userinfo:forbidden": _userinfo_without_openid,
}

ALL_CLAIMS = [AuthScopes.openid, AuthScopes.profile, AuthScopes.email]


def _userinfo(site: Site) -> Any:
    return auth_client(log_in(site, [*ALL_CLAIMS, AuthScopes.view_identity_set])["access_token"]).userinfo()


QUOTED: dict[str, Callable[[Site], Any]] = {
    "code_tokens": lambda site: log_in(site, [*ALL_CLAIMS, TransferScopes.all], refresh_tokens=True),
    "jwk": lambda site: site.login.get("/jwk.json"),
    "openid_configuration": lambda site: site.login.get_openid_configuration(),
    "userinfo": _userinfo,
}

#: Recordings that hold all there is of a kind of document; those of what was made or changed hold less.
COMPLETE = {
    "client": "get_client",
    "clients": "get_client",
    "credential": "create_client_credential",
    "policy": "get_policy",
    "project": "get_project",
    "scope": "get_scope",
}
INSTANCE = "create_native_app_instance"
EXTRAS = {
    "oauth2_exchange_code_for_tokens:.error_description": "RFC 6749 lets it say what is wrong, and the sandbox does",
    "oauth2_exchange_code_for_tokens:.state": "the recording of Transfer's tokens has it",
    ".identities[].identity_type": "the recording of an identity of Globus ID has it",
    **dict.fromkeys(
        (".last_authentication", ".identity_set[].last_authentication"), "the documentation of the scope openid has it"
    ),
    **dict.fromkeys(
        (".organization", ".identity_provider", ".identity_provider_display_name"),
        "the documentation of the scope profile has it",
    ),
    f"{INSTANCE}:.included": "the recording has the answer twice nested; the CLI reads it from here",
    **{
        f"{INSTANCE}:.client.{name}": "the recording has the answer twice nested; the client is compared below"
        for name in shapes.recorded("auth.get_client")["client"]
    },
}


def _explain(path: str, document: dict[str, Any]) -> str | None:
    parent, _, name = path.lstrip(".").replace("[]", "").rpartition(".")
    complete = COMPLETE.get(parent)
    if complete is None or name not in shapes.recorded(f"auth.{complete}")[parent.removesuffix("s")]:
        return None
    return f"the recording of {complete} has it"


RECORDINGS = Recordings(
    service="auth",
    scenarios=SCENARIOS,
    quoted=QUOTED,
    stale={
        f"{INSTANCE}:.client.{name}": "the recording has the answer twice nested, which the CLI does not read"
        for name in ("client", "included")
    },
    extras=EXTRAS,
    explain=_explain,
)


@pytest.mark.parametrize("name", RECORDINGS.names())
def test_answers_have_what_the_recorded_ones_have(name: str, site: Site) -> None:
    RECORDINGS.check(name, site, site.sandbox)


@pytest.mark.parametrize("name", QUOTED)
def test_answers_have_what_the_quoted_ones_have(name: str, site: Site) -> None:
    RECORDINGS.check_quoted(name, site, site.sandbox)


def test_every_recording_has_its_scenario() -> None:
    RECORDINGS.check_complete()


def test_an_instance_of_a_native_app_is_as_recorded(site: Site) -> None:
    recorded = shapes.recorded(f"auth.{INSTANCE}")["client"]
    answer = _create_instance(site, "default").data
    assert list(shapes.lacking(recorded, answer)) == []
    assert [path for path, _ in shapes.extra(recorded, answer)] == [".included.client_credential.created"]


KEEPING = ("create_client", "create_child_client", "create_scope", "create_policy", "update_client", "update_scope")


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.partition(":")[0] in (*KEEPING, "update_policy")])
def test_what_is_sent_is_what_is_kept(site: Site, name: str) -> None:
    set_name, _, case = name.partition(":")
    kind = set_name.rpartition("_")[2]
    answer = SCENARIOS[name](site)[kind]
    seen = {**answer, **answer.get("links", {}), "scope_suffix": answer.get("scope_string", "").rpartition("/")[2]}
    names = {"client_id": "client" if kind == "scope" else "id", "scope_id": "id", "policy_id": "id"}
    for field, value in args_of(set_name, case).items():
        wanted = value if isinstance(value, list | bool | int | None) else str(value)
        assert seen[names.get(field, field)] == wanted, field
    get = {"client": "clients", "scope": "scopes", "policy": "policies"}[kind]
    assert site.client.get(f"/v2/api/{get}/{answer['id']}")[kind] == answer


def test_an_id_token_is_signed_and_says_who_logged_in(site: Site) -> None:
    tokens = log_in(site, ALL_CLAIMS)
    claims = tokens.decode_id_token()
    # As in the id token of test_id_token.py of the SDK, which the real service has signed.
    assert set(claims) == {
        "sub", "organization", "name", "preferred_username", "identity_provider", "identity_provider_display_name",
        "email", "last_authentication", "identity_set", "iss", "aud", "exp", "iat", "at_hash",
    }  # fmt: skip
    assert (claims["sub"], claims["preferred_username"]) == (site.person.id, PERSON["username"])
    head, _, signature = tokens["id_token"].rpartition(".")
    forged = f"{head}.{signature[:-6]}AAAAAA"
    key = site.login.get_jwk(site.login.get_openid_configuration(), as_pem=True)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key, algorithms=["RS512"], audience=claims["aud"])


def test_a_browser_gets_the_code_that_an_app_asks_for(site: Site) -> None:
    app = site.auth.add_client("native", public=True)
    login = globus_sdk.NativeAppAuthClient(app.id)
    login.oauth2_start_flow(ALL_CLAIMS)
    url, browser = login.oauth2_get_authorize_url(), NOBODY()
    person = site.person
    assert f'value="{person.id}" required> {person.username}' in browser.get(url).text
    shown = browser.post(url, data={"identity": person.id, "decision": "allow"}, encoding="form").text
    (code,) = re.findall(r"<pre>(\w+)</pre>", shown)
    assert login.oauth2_exchange_code_for_tokens(code).decode_id_token()["sub"] == person.id


def test_what_the_documentation_has_besides(site: Site) -> None:
    auth = auth_client(log_in(site, ALL_CLAIMS)["access_token"])
    assert auth.post("/v2/oauth2/userinfo").data == auth.userinfo().data
    (listed,) = auth.get_identities(ids=site.me)
    assert auth.get(f"/v2/api/identities/{site.me}").data == {"identity": listed}

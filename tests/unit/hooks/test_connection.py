from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_globus.exceptions import GlobusConfigError
from airflow_provider_globus.hooks.connection import ConnectionSettings

CLIENT = "9f6bb2a7-7a3a-4f5c-9b0e-1d2f3a4b5c6d"
COLLECTION = "11111111-2222-3333-4444-555555555555"


def settings(login: str | None = CLIENT, password: str | None = "a-secret", **extra: Any) -> ConnectionSettings:
    connection = Connection(conn_id="c", conn_type="globus", login=login, password=password, extra=json.dumps(extra))
    return ConnectionSettings.from_connection("c", connection)


def test_a_service_account_needs_id_and_secret_only() -> None:
    found = settings()
    assert (found.app_type, found.environment, found.web_app_url) == ("client", "production", "https://app.globus.org")


def test_objects_may_be_json_text_as_the_form_gives_them() -> None:
    found = settings(collections=json.dumps({"lab": COLLECTION}), service_urls='{"app": "http://127.0.0.1:1/"}')
    assert found.collections == {"lab": COLLECTION}
    assert found.web_app_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("given", "tokens"),
    [("abc", ("abc",)), ('["a", "b"]', ("a", "b")), ({"transfer": "t"}, ("t",)), (["x"], ("x",))],
)
def test_refresh_tokens_may_be_one_or_many(given: Any, tokens: tuple[str, ...]) -> None:
    assert settings(app_type="user", refresh_token=given).refresh_tokens == tokens


def test_a_refresh_token_without_secret_means_a_user() -> None:
    assert settings(password=None, refresh_token="abc").app_type == "user"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"login": None}, "client id"),
        ({"login": "not-a-uuid"}, "client id"),
        ({"password": None}, "client secret"),
        ({"app_type": "user"}, "refresh token"),
        ({"app_type": "robot"}, "'client'"),
        ({"app_type": "user", "refresh_token": "[1]"}, "JSON list"),
        ({"collections": "not json"}, "JSON object"),
        ({"collections": {"lab": "no-uuid"}}, "'lab'"),
        ({"service_urls": {"transfers": "http://x"}}, "transfer"),
        ({"service_urls": {"transfer": "x:80"}}, "https://"),
        ({"http_timeout": "soon"}, "1 to 600"),
        ({"http_timeout": 0}, "1 to 600"),
    ],
)
def test_what_cannot_work_is_refused_with_the_fix(arguments: dict[str, Any], hint: str) -> None:
    with pytest.raises(GlobusConfigError, match="Connection 'c'") as caught:
        settings(**arguments)
    assert hint in str(caught.value)


def test_secrets_do_not_show() -> None:
    found = settings(app_type="user", refresh_token="the-refresh-token")
    assert "a-secret" not in repr(found)
    assert "the-refresh-token" not in repr(found)
    assert "a-secret" not in found.identity_key


def test_only_equal_credentials_share_tokens() -> None:
    assert settings().identity_key == settings(collections={"lab": COLLECTION}).identity_key
    assert settings().identity_key != settings(password="another").identity_key
    assert settings().identity_key != settings(service_urls={"transfer": "http://127.0.0.1:1"}).identity_key

"""Who may do something: as authors write it, and as Globus wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_globus.exceptions import GlobusInputError
from airflow_provider_globus.hooks.globus import GlobusHook
from airflow_provider_globus.operators.principals import principal_urns

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox import GlobusSandbox

GROUP = "urn:globus:groups:id:5a4db0c5-0000-4000-8000-0000000000aa"


def test_people_groups_and_everybody(globus_sandbox: GlobusSandbox) -> None:
    person = globus_sandbox.add_identity("someone@example.edu")
    urn = f"urn:globus:auth:identity:{person.id}"
    given = ["someone@example.edu", person.id, urn, GROUP, "public", "all_authenticated_users"]
    expected = [urn, urn, urn, GROUP, "public", "all_authenticated_users"]
    assert principal_urns(GlobusHook(), given) == expected
    assert globus_sandbox.journal.count("auth", "GET", "*/identities") == 1


@pytest.mark.usefixtures("globus_sandbox")
def test_one_alone_and_nobody() -> None:
    assert principal_urns(GlobusHook(), "public") == ["public"]
    assert principal_urns(GlobusHook(), None) == []


@pytest.mark.usefixtures("globus_sandbox")
def test_a_username_that_globus_does_not_know_is_refused() -> None:
    with pytest.raises(GlobusInputError, match=r"knows no identity 'nobody@example.edu'"):
        principal_urns(GlobusHook(), ["nobody@example.edu"])

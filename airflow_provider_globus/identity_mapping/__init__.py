"""
Identity mappings of Connect Server proved offline, before anybody can read by them.

A storage gateway maps the identity of who asks (``ada@example.org``) to local accounts by documents that its
administrator writes. ``check_identity_mapping`` says which accounts given identities would get, by the library that
Globus itself publishes, without asking or changing anything. It needs the extra ``[identity-mapping]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.identity_mapping.report import AccountMatch, IdentityMappingReport, IdentityResult

if TYPE_CHECKING:
    from airflow_provider_globus.identity_mapping.documents import Document
    from airflow_provider_globus.identity_mapping.evaluation import Place

__all__ = [
    "AccountMatch",
    "IdentityMappingReport",
    "IdentityResult",
    "check_identity_mapping",
]


def check_identity_mapping(
    mappings: Any,
    expected: Any,
    *,
    connector: str | None = None,
    storage_gateway: str | None = None,
    run_external: bool = False,
) -> IdentityMappingReport:
    """
    Tell offline whether mapping documents give identities exactly the local accounts they should have.

    Usable anywhere, in a ``@task`` as in a test of the repository that holds the documents::

        report = check_identity_mapping("mappings/cluster.json", {"ada@example.org": "ada", "eve@example.com": None})
        report.require()  # raises with a diff, unless all is as expected

    Documents and table are validated first, and every problem is in ``report.problems`` at once: unknown ``DATA_TYPE``,
    invalid expressions, groups that the match does not have, properties that identities do not have. What is valid but
    probably not meant is in ``report.warnings``: matches for any domain, alternatives outside of parentheses, rules
    behind one that matches first.

    :param mappings: documents (``expression_identity_mapping#1.0.0`` or ``external_identity_mapping#1.0.0``): a dict,
        JSON or YAML text, a path, or a list of these, in the order in which the gateway has them.
    :param expected: local accounts by identity: a dict, rows ``{"identity": ..., "local_user": ...}``, pairs, JSON or
        YAML text, or a path. An identity is a username, a UUID, or an identity document (``id``, ``username``,
        ``name``, ``email``, ``organization``, ``identity_provider``...), which is needed where rules read more than
        the username; a property that is ``None`` there is one that the identity lacks. Accounts: one; a list, the one
        used by default in front; a set, where the order does not matter; or ``None`` for an identity that must not
        map. They are all the accounts: one more is a mismatch, since a request may ask for it by ``local_user``.
    :param connector: UUID of the gateway's connector; told to external programs.
    :param storage_gateway: UUID of the gateway; told to external programs.
    :param run_external: run external programs here, on this machine, for each identity that has an ``id``: with
        ``-c CONNECTOR -s GATEWAY``, once without and once with ``-a``, with an ``identity_mapping_input#1.0.0``
        document on stdin and an ``identity_mapping_output#1.0.0`` document expected on stdout within five seconds, as
        Connect Server runs them. By default no program is run, and identities that one may map count as unproved.
    :raises GlobusConfigError: the extra ``[identity-mapping]`` is not installed.
    """
    _need_library()
    from airflow_provider_globus.identity_mapping.documents import load_mappings, read_mappings, read_table
    from airflow_provider_globus.identity_mapping.evaluation import evaluate

    given, unreadable = load_mappings(mappings)
    documents, problems, warnings = read_mappings(given)
    rows, wrong = read_table(expected)
    place, lacking = _place(documents, connector, storage_gateway, run_external=run_external)
    problems = [*unreadable, *problems, *wrong, *lacking]
    if problems:
        return IdentityMappingReport(problems=tuple(problems), warnings=tuple(warnings))
    results = tuple(evaluate(documents, row, place) for row in rows)
    return IdentityMappingReport(identities=results, warnings=tuple(warnings))


def _place(
    documents: list[Document], connector: str | None, storage_gateway: str | None, *, run_external: bool
) -> tuple[Place | None, list[str]]:
    from airflow_provider_globus.identity_mapping.evaluation import Place

    programs = [document.where for document in documents if document.command]
    if not run_external or not programs:
        return None, []
    if connector and storage_gateway:
        return Place(connector, storage_gateway), []
    return None, [f"{programs[0]} is a program that is told connector and storage_gateway: give the UUIDs of both."]


def _need_library() -> None:
    # An extra: most pipelines map no identities.
    try:
        import globus_identity_mapping  # noqa: F401
    except ImportError:
        from airflow_provider_globus.exceptions import GlobusConfigError

        raise GlobusConfigError(
            "Identity mappings are proved by the package globus-identity-mapping, which is not installed.",
            advice="Install the extra: pip install 'airflow-provider-globus[identity-mapping]'.",
        ) from None

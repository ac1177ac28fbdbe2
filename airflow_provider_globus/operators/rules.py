"""What the operators for access rules and pause rules share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_globus.operators.base import GlobusOperator


def id_of_rule(operator: GlobusOperator, given: str | Mapping[str, Any]) -> str:
    """
    The id of a rule that is given as such, or as what the operator that made it returned.

    :raises GlobusInputError: for anything else; to delete what is not there would look like success.
    """
    rule_id = given.get("rule_id") if isinstance(given, Mapping) else given
    if not isinstance(rule_id, str) or not rule_id.strip():
        raise operator.refuse(f"rule_id {given!r} names no rule.", "Pass what made the rule returned.")
    if rule_id.lstrip().startswith("{"):
        raise operator.refuse(
            f"rule_id {rule_id!r} is a rendered result, not an id.",
            "Take the id from it, as in {{ ti.xcom_pull('share')['rule_id'] }}, or pass the task's output.",
        )
    return rule_id.strip()

"""What the operators that delete access rules and pause rules share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_globus.exceptions import GlobusNotFoundError
from airflow_provider_globus.operators.base import GlobusOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GlobusDeleteRuleOperator(GlobusOperator):
    """
    Base of the operators that delete a rule.

    :param rule_id: id of the rule, or what the operator that made it returned.
    :param ignore_missing: succeed when there is no such rule (any more).
    """

    template_fields: Sequence[str] = ("rule_id", "globus_conn_id")
    #: what the rule is called
    kind: ClassVar[str]

    def __init__(self, *, rule_id: str | Mapping[str, Any], ignore_missing: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule_id = rule_id
        self.ignore_missing = ignore_missing

    @abstractmethod
    def delete(self, rule_id: str) -> None:
        """Ask Globus to; raises GlobusNotFoundError when there is no such rule."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the rule."""
        rule_id = self._id()
        try:
            self.delete(rule_id)
        except GlobusNotFoundError:
            if not self.ignore_missing:
                raise
            self.log.info("There is no %s %s (any more).", self.kind, rule_id)
            return {"rule_id": rule_id, "action": "absent"}
        self.log.info("Deleted the %s %s.", self.kind, rule_id)
        return {"rule_id": rule_id, "action": "deleted"}

    def _id(self) -> str:
        """The id that is meant; anything else is refused, since to delete what is not there looks like success."""
        given = self.rule_id
        rule_id = given.get("rule_id") if isinstance(given, Mapping) else given
        if not isinstance(rule_id, str) or not rule_id.strip():
            raise self.refuse(f"rule_id {given!r} names no rule.", "Pass what made the rule returned.")
        if rule_id.lstrip().startswith("{"):
            raise self.refuse(
                f"rule_id {rule_id!r} is a rendered result, not an id.",
                "Take the id from it, as in {{ ti.xcom_pull('share')['rule_id'] }}, or pass the task's output.",
            )
        return rule_id.strip()

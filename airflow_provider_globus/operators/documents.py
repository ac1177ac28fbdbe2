"""Documents that an author may give as a mapping, as JSON or YAML text, or as a file beside the DAG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_globus.exceptions import GlobusInputError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

_SUFFIXES = (".json", ".yaml", ".yml")


def read_document(operator: BaseOperator, context: Context, name: str, given: Any) -> dict[str, Any]:
    """
    Return a document as a dict.

    :param name: of the operator's argument, for errors.
    :param given: a mapping; JSON or YAML text; or the path of a ``.json``, ``.yaml`` or ``.yml`` file, relative to the
        DAG file's folder, in which Jinja templates are rendered.
    :raises GlobusInputError: when it is none of these.
    """
    where = f"{type(operator).__name__}: {name}"
    if isinstance(given, (str, Path)):
        given, where = _parsed(operator, context, str(given), where)
    if not isinstance(given, Mapping):
        raise GlobusInputError(f"{where} must be a mapping, not {type(given).__name__}.", advice=_ADVICE)
    return dict(given)


_ADVICE = "Give a dict, JSON or YAML text, or the path of a .json, .yaml or .yml file."


def _parsed(operator: BaseOperator, context: Context, text: str, where: str) -> tuple[Any, str]:
    if text.strip().endswith(_SUFFIXES) and "\n" not in text.strip():
        path = _path(operator, text.strip())
        where = f"{where} ({path})"
        try:
            text = operator.render_template(path.read_text(encoding="utf-8"), context)
        except OSError as error:
            raise GlobusInputError(f"{where} cannot be read: {error.strerror}.", advice=_ADVICE) from None
    try:
        # JSON is YAML, too.
        return yaml.safe_load(text), where
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise GlobusInputError(f"{where} is neither JSON nor YAML: {said}.", advice=_ADVICE) from None


def _path(operator: BaseOperator, text: str) -> Path:
    path = Path(text).expanduser()
    if path.is_absolute():
        return path
    folder = getattr(operator.dag, "folder", None) if operator.has_dag() else None
    return Path(folder or ".") / path

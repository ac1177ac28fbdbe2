"""What an author may give as a value or as text: JSON, and documents, also as YAML or as a file beside the DAG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_globus.exceptions import GlobusInputError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_globus.operators.base import GlobusOperator

_SUFFIXES = (".json", ".yaml", ".yml")
_ADVICE = "Give a dict, JSON or YAML text, or the path of a .json, .yaml or .yml file."


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


def read_any(operator: BaseOperator, context: Context, name: str, given: Any) -> Any:
    """
    Return what a text or file holds, which may be a list, too; what is neither stays as it is.

    :param name: of the operator's argument, for errors.
    :param given: see :func:`read_document`.
    :raises GlobusInputError: when text or file cannot be read.
    """
    if not isinstance(given, (str, Path)):
        return given
    return _parsed(operator, context, str(given), f"{type(operator).__name__}: {name}")[0]


def read_json(operator: GlobusOperator, name: str, given: Any) -> Any:
    """
    Return the value of an argument that a template may have made JSON text; what is no text stays as it is.

    :param name: of the operator's argument, for errors.
    :raises GlobusInputError: for text that is not JSON.
    """
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise operator.refuse(
            f"{name} is text that is not JSON: {given[:80]!r}.",
            "Pass the value itself, such as an XComArg, or set render_template_as_native_obj=True on the DAG.",
        ) from None


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

"""
The reference of operators, sensors and triggers, written anew from the package at each build.

A page for each module that ``get_provider_info()`` names, in ``reference/generated``: every class with its parameters,
those of its bases too, and with what it templates, shows, returns and raises. Tables and tables of contents for the
pages that are written by hand lie there as well. Nobody keeps lists.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docstrings
import public_classes
from public_classes import Parameter

from airflow_provider_globus.get_provider_info import get_provider_info
from airflow_provider_globus.operators.job import GlobusJobOperator
from airflow_provider_globus.sandbox.faults import ActionFault, Fault, HttpFault, PathFault, TaskFault
from airflow_provider_globus.sandbox.world import Settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Folder of what is written here; not kept in the repository.
FOLDER = "reference/generated"


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}


def write_pages(app: Sphinx) -> None:
    """Write all pages; one that has not changed stays as it is, and is not read again."""
    folder = Path(app.srcdir, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    written = set()
    for name, text in pages():
        target = folder / name
        written.add(target)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    for left in set(folder.iterdir()) - written:
        left.unlink()


def pages() -> Iterator[tuple[str, str]]:
    """Names and texts of all files."""
    for kind in public_classes.KINDS:
        rows, contents = [], []
        for name in public_classes.modules(kind):
            module = importlib.import_module(name)
            found = public_classes.classes(module)
            page = name.removeprefix(f"{public_classes.PACKAGE}.").replace(".", "_")
            yield f"{page}.rst", _page(name, str(module.__doc__), found)
            contents.append(f"generated/{page}")
            rows += [f"| {{py:class}}`~{c.__module__}.{c.__name__}` | {_plain(c)} |" for c in found]
        table = "\n".join(["| class | what it does |", "|---|---|", *rows])
        toctree = "\n".join([":::{toctree}", ":hidden:", "", *contents, ":::"])
        yield f"{kind}.txt", f"{table}\n\n{toctree}\n"
    yield "connection.txt", _connection_fields()
    yield "exceptions.txt", _exceptions()
    yield "settings.txt", _fields(Settings, "setting")
    for fault in (Fault, HttpFault, PathFault, TaskFault, ActionFault):
        yield f"{fault.__name__.lower()}.txt", _fields(fault, "field")


def _plain(cls: type) -> str:
    """The first sentence on a class as Markdown."""
    return str(docstrings.read(cls.__doc__).first_sentence).replace("``", "`").replace("|", "\\|")


def _page(name: str, doc: str, found: Iterable[type]) -> str:
    about = docstrings.read(doc)
    title = about.first_sentence.partition(":")[0].rstrip(".").replace("``", "")
    blocks = [_heading(title, "="), f"Module ``{name}``. {about.intro}"]
    for cls in found:
        blocks += _class(cls)
    return "\n\n".join(blocks) + "\n"


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _class(cls: type) -> Iterator[str]:
    name, doc = cls.__name__, docstrings.read(cls.__doc__)
    yield _heading(name, "-")
    yield f".. py:class:: {cls.__module__}.{name}"
    yield _indent(doc.intro)
    taken = public_classes.parameters(cls)
    owners = list(dict.fromkeys(parameter.owner for parameter in taken))
    for owner in sorted(owners, key=cls.__mro__.index):
        yield from _parameters(cls, owner, [parameter for parameter in taken if parameter.owner is owner])
    for base in public_classes.ancestry(cls):
        if base not in owners and (told := docstrings.read(base.__doc__)).intro and base is not cls:
            yield f".. rubric:: From ``{base.__name__}``"
            yield "\n\n".join(filter(None, (told.intro, told.notes)))
    yield from _around(cls)


def _parameters(cls: type, owner: type, taken: list[Parameter]) -> Iterator[str]:
    told = docstrings.read(owner.__doc__)
    if owner is cls:
        yield ".. rubric:: Parameters"
    else:
        yield f".. rubric:: Inherited from ``{owner.__name__}``"
        if not public_classes.is_public(owner):
            yield told.intro
    for parameter in taken:
        yield f".. _{cls.__name__}.{parameter.name}:\n\n.. rst-class:: parameter"
        yield f"``{parameter.name}``{_type(parameter)}\n{_indent(parameter.text or 'Not described.')}"
    if told.notes:
        yield told.notes


def _type(parameter: Parameter) -> str:
    said = [f"``{parameter.annotation}``"] if parameter.annotation and parameter.annotation != "Any" else []
    if parameter.default is None:
        said.append("required")
    elif parameter.value is not None:
        said.append(f"default {_value(parameter.value)}")
    elif parameter.default and parameter.default != "None":
        said.append(f"default ``{parameter.default}``")
    elif parameter.default:
        said.append("optional")
    return f" : {', '.join(said)}" if said else ""


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(f"``{item}``" for item in value)
    return f"``{value!r}``"


def _around(cls: type) -> Iterator[str]:
    if fields := getattr(cls, "template_fields", ()):
        yield ".. rubric:: Templated"
        yield ", ".join(f"``{name}``" for name in fields) + "."
    if links := getattr(cls, "operator_extra_links", ()):
        yield ".. rubric:: Links and XComs"
        yield "\n".join(
            f"* Link *{link.name}*: {docstrings.read(type(link).__doc__).intro} XCom ``{link.xcom_url_key}``."
            for link in links
        )
        if issubclass(cls, GlobusJobOperator):
            yield "* XCom ``globus_job_ids``: ids of the jobs at Globus, there while they run."
            yield "* XCom ``return_value``: as said above."
    if found := public_classes.errors(cls):
        yield ".. rubric:: Raises"
        listed = ", ".join(f":py:class:`~{error.__module__}.{error.__name__}`" for error in found)
        # A trigger that meets trouble waits on.
        calls = "; and :doc:`what a call to a Globus service can come to </reference/python>`"
        yield f"{listed}{calls if hasattr(cls, 'execute') else ''}."


def _indent(text: str) -> str:
    return "\n".join(f"   {line}" if line.strip() else "" for line in text.splitlines())


def _connection_fields() -> str:
    (connection,) = get_provider_info()["connection-types"]
    rows = ["| field | key in extra | what it is | values |", "|---|---|---|---|"]
    relabelled = connection["ui-field-behaviour"]["relabeling"]
    rows += [f"| {label} | not there: `{field}` | {_STANDARD[field]} | text |" for field, label in relabelled.items()]
    for key, field in connection["conn-fields"].items():
        described = re.sub(r"\{.*\}", lambda found: f"`{found.group()}`", field["description"])
        rows.append(f"| {field['label']} | `{key}` | {described} | {_values(field['schema'])} |")
    return "\n".join(rows) + "\n"


_STANDARD = {
    "login": "UUID of the Globus app.",
    "password": "Secret of the Globus app; a native app (app type user) has none.",
}


def _values(schema: dict[str, Any]) -> str:
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if "enum" in schema:
        said = ", ".join(f"`{value}`" for value in schema["enum"])
    elif schema.get("format") == "multiline":
        said = "JSON object"
    else:
        said = {"string": "text", "integer": "whole number"}[types[0]]
    if "minimum" in schema:
        said += f", {schema['minimum']} to {schema['maximum']}"
    if schema.get("format") == "password":
        said += ", kept secret"
    return said + (f"; default `{schema['default']}`" if "default" in schema else "")


def _fields(cls: Any, noun: str) -> str:
    """The fields of a dataclass of the sandbox: those of its own that its users set."""
    told = docstrings.read(cls.__doc__).params
    rows = [f"| {noun} | default | what it does |", "|---|---|---|"]
    for item in dataclasses.fields(cls):
        if item.name not in vars(cls)["__annotations__"] or (item.name not in told and item.name in _KEPT):
            continue
        default = {} if item.default is dataclasses.MISSING else item.default
        text = " ".join(told.get(item.name, "").split()).replace("``", "`").replace("|", "\\|")
        rows.append(f"| `{item.name}` | `{default!r}` | {text} |")
    return "\n".join(rows) + "\n"


#: What a fault keeps for itself.
_KEPT = ("id", "until", "seen", "struck")


def _exceptions() -> str:
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_provider_globus import exceptions

    rows = ["| error | when | Airflow's retries |", "|---|---|---|"]
    for name in exceptions.__all__:
        error = getattr(exceptions, name)
        if not isinstance(error, type):
            continue
        permanent = issubclass(error, AirflowFailException)
        base = error in (exceptions.GlobusError, exceptions.GlobusServiceError, exceptions.GlobusJobError)
        retried = "base class" if base else "permanent: none" if permanent else "apply"
        rows.append(f"| {{py:class}}`~{exceptions.__name__}.{name}` | {_sentences(error)} | {retried} |")
    return "\n".join(rows) + "\n"


def _sentences(error: type) -> str:
    """What is said of an error, but for what the table has in a column."""
    intro = " ".join(docstrings.read(error.__doc__).intro.split()).replace("``", "`")
    return re.sub(r" Airflow's retries apply(: a retry submits a new job)?\.", "", intro)

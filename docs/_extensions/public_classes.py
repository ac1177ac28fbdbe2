"""What the package offers to authors of DAGs, read from ``get_provider_info()`` and the classes themselves."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from dataclasses import dataclass
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import docstrings

from airflow_provider_globus.exceptions import GlobusError
from airflow_provider_globus.get_provider_info import get_provider_info
from airflow_provider_globus.operators.endings import JOB_ERRORS

PACKAGE = "airflow_provider_globus"

#: Keys of the provider's metadata that list modules of classes with parameters.
KINDS = ("operators", "sensors", "triggers")

#: Where errors come from that any call to a Globus service may end in; they are told once, for all operators.
_SERVICES = (f"{PACKAGE}.hooks", f"{PACKAGE}.exceptions", f"{PACKAGE}.sandbox", f"{PACKAGE}.lineage")


@dataclass(frozen=True)
class Parameter:
    """
    A parameter of a constructor.

    :param owner: the class whose docstring tells of it.
    :param annotation: its type as it is written in the source.
    :param default: source of the default; ``None`` when it has to be given.
    :param value: the default, when the source is only a name for it.
    """

    name: str
    text: str
    owner: type
    annotation: str
    default: str | None
    value: Any = None


def modules(kind: str) -> list[str]:
    """The modules of a kind, in the order of the provider's metadata."""
    found = [name for group in get_provider_info().get(kind, ()) for name in group["python-modules"]]
    return list(dict.fromkeys(found))


def classes(module: ModuleType) -> list[type]:
    """What a module offers: its own concrete classes, and those of others that it lists in ``__all__``."""
    listed = getattr(module, "__all__", None)
    names = list(vars(module)) if listed is None else sorted(listed, key=_place_in(module))
    found = [vars(module)[name] for name in names if not name.startswith("_")]
    return [
        cls
        for cls in found
        if inspect.isclass(cls) and (listed is not None or cls.__module__ == module.__name__) and is_public(cls)
    ]


def _place_in(module: ModuleType) -> Any:
    places = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return lambda name: places.index(name) if name in places else len(places)


def is_public(cls: type) -> bool:
    """Whether authors use a class: it runs, and is no base of others alone."""
    runs = next((name for name in ("execute", "run") if hasattr(cls, name)), None)
    if runs is None or inspect.isabstract(cls):
        return False
    return any(runs in vars(base) for base in ancestry(cls))


def ancestry(cls: type) -> list[type]:
    """The class and its bases in this package, nearest first."""
    return [base for base in cls.__mro__ if base.__module__.startswith(PACKAGE)]


def parameters(cls: type) -> list[Parameter]:
    """Every parameter that a docstring of the class or of one of its bases tells of, or its constructor takes."""
    told: dict[str, tuple[str, type]] = {}
    for base in ancestry(cls):
        for name, text in docstrings.read(base.__doc__).params.items():
            told.setdefault(name, (text, base))
    taken = _taken(cls)
    for name, (_, owner) in _taken(cls, own=True).items():
        told.setdefault(name, ("", owner))
    return [_parameter(name, text, owner, taken.get(name)) for name, (text, owner) in told.items()]


def _taken(cls: type, *, own: bool = False) -> dict[str, tuple[inspect.Parameter, type]]:
    """Parameters of the constructors along the bases, nearest first; ``own``: of this package's alone."""
    found: dict[str, tuple[inspect.Parameter, type]] = {}
    for base in ancestry(cls) if own else cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
            if name != "self" and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(name, (parameter, base))
    return found


def _parameter(name: str, text: str, owner: type, taken: tuple[inspect.Parameter, type] | None) -> Parameter:
    if taken is None:
        return Parameter(name, text, owner, "", "")
    parameter, base = taken
    annotation = parameter.annotation
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    if parameter.annotation is parameter.empty:
        written = ""
    if parameter.default is parameter.empty:
        return Parameter(name, text, owner, written, None)
    source = _default_source(base, name) or repr(parameter.default)
    value = parameter.default if source.isupper() else None
    return Parameter(name, text, owner, written, source, value)


def _default_source(cls: type, name: str) -> str:
    tree = _tree(cls)
    function = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if function is None:
        return ""
    args = function.args
    pairs = [*zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    pairs += zip(args.args[len(args.args) - len(args.defaults) :], args.defaults, strict=True)
    return next((ast.unparse(default) for arg, default in pairs if arg.arg == name and default is not None), "")


@cache
def _tree(cls: Any) -> ast.ClassDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def errors(cls: type) -> list[type[BaseException]]:
    """Errors that the class makes by itself, in its code and in what that uses."""
    found: set[type[BaseException]] = set()
    seen: set[Any] = set()
    for base in ancestry(cls):
        _search(base, found, seen)
    return sorted(found, key=lambda error: error.__name__)


def _search(thing: Any, found: set[type[BaseException]], seen: set[Any]) -> None:
    if thing in seen:
        return
    seen.add(thing)
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    names = dict(vars(importlib.import_module(thing.__module__)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            module = importlib.import_module(str(node.module))
            names |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _is_error(names.get(node.func.id)):
            found.add(names[node.func.id])
        elif isinstance(node, ast.Name):
            used = names.get(node.id)
            if used is JOB_ERRORS:
                found |= set(JOB_ERRORS.values())
            elif _is_followed(used):
                _search(used, found, seen)


def _is_error(used: Any) -> bool:
    return inspect.isclass(used) and issubclass(used, GlobusError)


def _is_followed(used: Any) -> bool:
    module = getattr(used, "__module__", None) or ""
    followed = module.startswith(PACKAGE) and not module.startswith(_SERVICES)
    return followed and (inspect.isclass(used) or isinstance(used, FunctionType))

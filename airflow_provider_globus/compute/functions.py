"""
Functions as text that can travel: taken from a DAG file or named by an import path, checked before they leave.

The source travels, not the object: it runs under another Python version, and carries nothing of Airflow along.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import re
import symtable
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_globus.exceptions import GlobusInputError

#: Python names with dots, and a colon or dot before the function's own.
_PATH = r"[^\W\d]\w*(\.[^\W\d]\w*)*[.:][^\W\d]\w*"

_FUTURE = "from __future__ import annotations\n"
_RETURNS_ITEM = "airflow_item"


@dataclass(frozen=True)
class FunctionCode:
    """
    A function as Globus Compute stores it.

    :param name: what it is called at Compute.
    :param source: Python source that defines it, on its own.
    :param entry: the name in ``source`` that is called; ``name`` when left out.
    """

    name: str
    source: str
    entry: str = ""

    #: what Compute calls this way of serialising: source text
    serializer = "st"

    def packed(self) -> str:
        """The wire format of ``PureSourceTextInspect``, which every endpoint of version 4 reads."""
        from globus_compute_sdk.serialize import ComputeSerializer, PureSourceTextInspect

        text = f"{self.entry or self.name}:{self.source}"
        return ComputeSerializer().pack_buffers([PureSourceTextInspect.identifier + text])

    @property
    def digest(self) -> str:
        """A digest of the content."""
        return hashlib.sha256(f"{self.serializer}:{self.entry}:{self.name}:{self.source}".encode()).hexdigest()

    def for_items(self) -> FunctionCode:
        """
        The same function for one of many inputs: it takes the input's number first and returns it with the result.

        Results can then be told apart even when the answer that listed their tasks was lost.
        """
        called = self.entry or self.name
        wrapper = f"\n\ndef {_RETURNS_ITEM}(number, *args, **kwargs):\n    return [number, {called}(*args, **kwargs)]\n"
        return FunctionCode(self.name, self.source + wrapper, _RETURNS_ITEM)


def function_code(function: Callable[..., Any] | str) -> FunctionCode:
    """
    The code of a function.

    :param function: a function defined with ``def``, or the path of one that the endpoint can import, such as
        ``package.module:function``.
    :raises GlobusInputError: when it cannot travel, with the reason and the fix.
    """
    return _imported(function) if isinstance(function, str) else _from_callable(function)


def _imported(path: str) -> FunctionCode:
    if not re.fullmatch(_PATH, path):
        raise GlobusInputError(
            f"{path!r} is no import path.", advice="Write it like package.module:function, importable at the endpoint."
        )
    module, _, name = path.replace(":", ".").rpartition(".")
    source = f"def {name}(*args, **kwargs):\n    import {module}\n    return {module}.{name}(*args, **kwargs)\n"
    return FunctionCode(name, source)


def _from_callable(function: Callable[..., Any]) -> FunctionCode:
    name = getattr(function, "__name__", type(function).__name__)
    if not inspect.isfunction(function) or name == "<lambda>":
        raise GlobusInputError(
            f"{name} is {_kind(function)}, whose source cannot travel to a Compute endpoint.",
            advice="Write a function with def, or give the path of one that the endpoint can import, "
            "such as 'package.module:function'.",
        )
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise GlobusInputError(
            f"{name} is {_kind(function)}, which a Compute endpoint cannot run to a result.",
            advice="Write a plain function that returns its result.",
        )
    source = _source(function)
    if foreign := foreign_names(source, name):
        raise GlobusInputError(
            f"The function {name} uses {', '.join(foreign)} from its module, which does not exist at the endpoint.",
            advice=f"Import inside the function and pass values as arguments{_path_instead(function)}.",
        )
    return FunctionCode(name, source)


def _path_instead(function: Callable[..., Any]) -> str:
    # The module of a DAG file can be imported by Airflow alone, which gives it a name of its own.
    if function.__module__ == "__main__" or function.__module__.startswith("unusual_prefix_"):
        return ""
    path = f"{function.__module__}:{function.__name__}"
    return f"; or, when the endpoint has your package, give the path instead: {path!r}"


def _kind(function: Any) -> str:
    if getattr(function, "__name__", "") == "<lambda>":
        return "a lambda"
    for test, kind in (
        (inspect.ismethod, "a method"),
        (inspect.isclass, "a class"),
        (inspect.isbuiltin, "a built-in function"),
        (inspect.iscoroutinefunction, "an async function"),
        (inspect.isgeneratorfunction, "a generator"),
    ):
        if test(function):
            return kind
    return f"a {type(function).__name__}"


def _source(function: Callable[..., Any]) -> str:
    """The function's own lines, without its decorators and the indentation around it."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise GlobusInputError(
            f"The source of {function.__name__} cannot be found, so it cannot travel to a Compute endpoint.",
            advice="Define the function in a file.",
        ) from None
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    # Annotations need not be importable at the endpoint.
    return _FUTURE + "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]) + "\n"


def foreign_names(source: str, name: str) -> list[str]:
    """Names that a function's source takes from around it, in order of the alphabet; it has nothing around it there."""
    tree = ast.fix_missing_locations(_Unannotated().visit(ast.parse(source)))
    table = symtable.symtable(ast.unparse(tree), "<function>", "exec")
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    own |= {name, *dir(builtins)}
    return sorted({used for used in _outer_names(table) if used not in own})


def _outer_names(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _outer_names(child)


class _Unannotated(ast.NodeTransformer):
    """Takes annotations away: they are not evaluated at the endpoint."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return ast.Pass()
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value))

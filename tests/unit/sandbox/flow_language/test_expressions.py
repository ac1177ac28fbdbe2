"""Every form of expression that flows use, and every way out that there must not be."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_globus.sandbox.flow_language.effects import NamedError
from airflow_provider_globus.sandbox.flow_language.expressions import evaluate, problem

STATE: dict[str, Any] = {
    "n": 3,
    "name": "scan_0042.h5",
    "flag": True,
    "nothing": None,
    "path": "/~/data/run 1/",
    "files": [{"name": "a.tif", "size": 5}, {"name": "b.txt", "size": 7}, {"name": "c.tif", "size": 1}],
    "info": {"details": {"DATA": [{"name": "first"}]}, "submitting-user-id": "u"},
    "_context": {"run_id": "r", "username": "ada@example.org"},
    "_private_key": "secret",
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("n", 3),
        ("n + 1 == 4", True),
        ("-n", -3),
        ("n ** 2 % 5 // 2", 2),
        ("7 / 2", 3.5),
        ("(n > 2) and not flag or n <= 3", True),
        ("1 < n < 5", True),
        ("flag is True", True),
        ("nothing is None", True),
        ("True", True),
        ("None", None),
        ("'a' in name", True),
        ("'x' not in name", True),
        ("name + '/' + 'x'", "scan_0042.h5/x"),
        ("name[5:9]", "0042"),
        ("name[-3:]", ".h5"),
        ("files[0]['name']", "a.tif"),
        ("files[-1].size", 1),
        ("info.details.DATA[0].name", "first"),
        ("'big' if n > 2 else 'small'", "big"),
        ("[f.name for f in files]", ["a.tif", "b.txt", "c.tif"]),
        ("[f.name for f in files if f.name.endswith('.tif')]", ["a.tif", "c.tif"]),
        ("[x for x in [1, 2] for y in [3]]", [1, 2]),
        ("{'a': n, 'b': [n]}", {"a": 3, "b": [3]}),
        ("(1, 2)", [1, 2]),
        ("[*[1], 2]", [1, 2]),
        ("name.rstrip('5').rpartition('.')[0]", "scan_0042"),
        ("name.split('_')", ["scan", "0042.h5"]),
        ("','.join(['a', 'b'])", "a,b"),
        ("name.upper().replace('SCAN', 'RUN')", "RUN_0042.H5"),
        ("info.get('missing', 7)", 7),
        ("info.keys()", ["details", "submitting-user-id"]),
        ("f'{name}/{n}'", "scan_0042.h5/3"),
        ("`$.files[0].name` + '/x'", "a.tif/x"),
        ("`$.info.submitting-user-id`", "u"),
        ("`$.files[?@.size > 4].name`", ["a.tif", "b.txt"]),
        ("len(`$.files[1:]`)", 2),
        ("`$._context.username`", "ada@example.org"),
        ("_context.run_id", "r"),
        ("_private_key", "secret"),
        ("'a `tick` in text'", "a `tick` in text"),
        ("pathsplit('/~/path')", ["/~/", "path"]),
        ("pathsplit(path)", ["/~/data/", "run 1"]),
        ("is_present('info.details.DATA[0]')", True),
        ("is_present('info.missing')", False),
        ("getattr('info.missing', default='d')", "d"),
        ("getattr('info.missing', 'd')", "d"),
        ("getattr('info.missing')", None),
        ("getattr('files[1].name')", "b.txt"),
        ("len(files)", 3),
        ("str(n) + 'x'", "3x"),
        ("'line one\nline two'", "line one\nline two"),
        ("n +\n 1", 4),
        ("  n  ", 3),
    ],
)
def test_evaluates(expression: str, value: Any) -> None:
    assert problem(expression) is None
    assert evaluate(expression, STATE) == value


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__",
        "''.__class__.__mro__",
        "[].__class__.__bases__[0].__subclasses__()",
        "'{0.__class__}'.format(n)",
        "f'{n:>1000000}'",
        "f'{name!r}'",
        "'%1000000000d' % n",
        "'%5d' % n",
        "1 << 2",
        "getattr('n.__class__').x",
        "len.__globals__",
        "str.mro()",
        "(lambda: 1)()",
        "__import__('os')",
        "open('/etc/passwd')",
        "eval('1')",
        "exec('1')",
        "[c for c in ().__class__.__base__.__subclasses__()]",
        "name.encode()",
        "name.format_map(info)",
        "name.translate(info)",
        "info.pop('details')",
        "files.append(1)",
        "(x := 5)",
        "1; 2",
        "import os",
    ],
)
def test_there_is_no_way_out(expression: str) -> None:
    with pytest.raises(NamedError) as raised:
        evaluate(expression, STATE)
    assert raised.value.name == "States.Runtime"


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "2 ** 100000",
        "1 << 100000000",
        "'x' * 10 ** 9",
        "[0] * 10 ** 9",
        "10 ** 9 * 'x'",
        "'a'.replace('a', 'b' * 99999).replace('b', 'c' * 99999)",
        "('x' * 9999).join(['y'] * 9999)",
        "[a for a in [0] * 9999 for b in [0] * 9999]",
        "[[b for b in [0] * 999] for a in [0] * 9999]",
        "n.bit_length" + "+ 1" * 20_000,
        "(" * 5_000 + ")" * 5_000,
        "'x'.ljust(10 ** 9)",
    ],
)
def test_time_and_size_are_bounded(expression: str) -> None:
    began = time.monotonic()
    with pytest.raises(NamedError):
        evaluate(expression, STATE)
    # No measure of speed: an unbounded one would not come back at all.
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("missing + 1", "'missing' is not in the state"),
        ("sum([1])", "no function 'sum'"),
        ("info.missing", "no 'missing' in it"),
        ("files[9]", "index out of range"),
        ("n + 'x'", "unsupported operand"),
        ("1 / 0", "division by zero"),
        ("getattr(3)", "a path must be text"),
    ],
)
def test_errors_name_the_expression_and_the_field(expression: str, why: str) -> None:
    with pytest.raises(NamedError) as raised:
        evaluate(expression, STATE, "subject.=")
    assert raised.value.name == "States.Runtime"
    assert f"The expression '{expression}' specified for the field 'subject.='" in raised.value.cause
    assert why in raised.value.cause


def test_a_path_that_leads_nowhere_is_the_error_of_paths() -> None:
    with pytest.raises(NamedError, match=r"The path '\$\.missing' specified for the field 'subject\.='"):
        evaluate("`$.missing`", STATE, "subject.=")


@pytest.mark.parametrize("expression", ["1 +", "`$[`", "a b", "x" * 30_000])
def test_what_cannot_be_read_is_told_before_it_runs(expression: str) -> None:
    assert problem(expression)

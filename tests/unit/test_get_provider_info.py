from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseOperator

from airflow_provider_globus.get_provider_info import get_provider_info

INFO = get_provider_info()
MODULES = [
    module
    for kind in ("operators", "sensors", "hooks", "triggers")
    for e in INFO[kind]
    for module in e["python-modules"]
]


def test_matches_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__path__[0]) / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


@pytest.mark.parametrize("module", MODULES)
def test_every_named_module_imports(module: str) -> None:
    import_module(module)


def test_every_named_class_exists() -> None:
    paths = [*INFO["extra-links"], *(c["hook-class-name"] for c in INFO["connection-types"])]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert inspect.isclass(getattr(import_module(module), name))


#: rooms behind the ones that are announced
_INTERNAL = (
    "datasets",
    "base",
    "compute_base",
    "compute_map",
    "connect_server",
    "deferral",
    "documents",
    "endings",
    "fingerprint",
    "flow_input",
    "flow_output",
    "gcs_collection_base",
    "job",
    "labels",
    "ledger",
    "principals",
    "proofs",
    "rules",
    "secrets",
)


def test_no_operator_module_of_the_package_is_left_out() -> None:
    package = Path(import_module("airflow_provider_globus").__path__[0])
    for kind in ("operators", "sensors"):
        public = {f"airflow_provider_globus.{kind}.{f.stem}" for f in (package / kind).glob("[a-z]*.py")}
        internal = {f"airflow_provider_globus.{kind}.{name}" for name in _INTERNAL}
        assert public - internal == {module for e in INFO[kind] for module in e["python-modules"]}


def _operators() -> list[type[BaseOperator]]:
    found: dict[str, Any] = {}
    for module in MODULES:
        for name, cls in inspect.getmembers(import_module(module), inspect.isclass):
            if issubclass(cls, BaseOperator) and cls.__module__ == module:
                found[name] = cls
    return list(found.values())


@pytest.mark.parametrize("cls", _operators())
def test_template_fields_are_constructor_arguments(cls: type[BaseOperator]) -> None:
    arguments = {
        name for base in cls.__mro__[:-1] for name in inspect.signature(vars(base).get("__init__", base)).parameters
    }
    assert set(cls.template_fields) <= arguments


@pytest.mark.parametrize("cls", _operators())
def test_hides_no_property_of_airflows_operator(cls: type[BaseOperator]) -> None:
    ours = {name for base in cls.__mro__ if "globus" in base.__module__ for name in vars(base)}
    assert not {name for name in ours if isinstance(getattr(BaseOperator, name, None), property)}


@pytest.mark.parametrize("cls", _operators())
def test_every_parameter_is_documented(cls: type[BaseOperator]) -> None:
    own = set(inspect.signature(cls.__init__).parameters) - {"self", "kwargs"}
    documentation = "\n".join(base.__doc__ or "" for base in cls.__mro__ if "globus" in base.__module__)
    assert not {name for name in own if f":param {name}:" not in documentation}


def test_dag_parsing_imports_no_sdk() -> None:
    code = (
        f"import sys, importlib\n"
        f"[importlib.import_module(m) for m in {[m for m in MODULES if '.hooks.' not in m]}]\n"
        f"print([m for m in ('globus_sdk', 'requests', 'globus_compute_sdk', 'boto3') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith("[]")

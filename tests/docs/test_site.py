"""The documentation site: it builds without a warning and without the network, and its reference leaves nothing out."""

from __future__ import annotations

import importlib
import inspect
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from sphinx.util.inventory import InventoryFile

from airflow_provider_globus import __version__, exceptions
from airflow_provider_globus.get_provider_info import get_provider_info
from airflow_provider_globus.sandbox.control import CONTROL
from airflow_provider_globus.sandbox.seed import _FIELDS as SEED_FIELDS
from airflow_provider_globus.sandbox.world import Settings
from tests.docs.blocks import ROOT

#: What has a place on the site, by kind and name.
Inventory = dict[str, dict[str, Any]]

#: Nothing of the site may come from elsewhere when it is read.
_LOADED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src"}


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the site is made of: the build writes pages beside those that are written by hand."""
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("generated", "__pycache__"))
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, root / name)
    return root


def _build(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-b", "html", "docs", "html"]
    # A proxy that is nowhere: who asks the network is told at once.
    away = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(command, cwd=root, env=os.environ | away, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def built(sources: Path) -> subprocess.CompletedProcess[str]:
    """The one build that most tests look at."""
    return _build(sources)


@pytest.fixture(scope="session")
def site(sources: Path, built: subprocess.CompletedProcess[str]) -> Path:
    """The folder of the built pages."""
    return sources / "html"


@pytest.fixture(scope="session")
def inventory(site: Path) -> Inventory:
    """What the site offers to be linked to."""
    with (site / "objects.inv").open("rb") as file:
        return dict(InventoryFile.load(file, "", posixpath.join))


def test_it_builds_without_a_warning(built: subprocess.CompletedProcess[str]) -> None:
    assert built.stderr == ""
    assert built.returncode == 0


def test_every_page_is_found_from_the_first(site: Path) -> None:
    seen, ahead = set[Path](), [site / "index.html"]
    while ahead:
        page = ahead.pop()
        if page in seen:
            continue
        seen.add(page)
        found = (_target(page, str(link["href"]))[0] for link in _soup(page).find_all("a", href=True))
        ahead += [target for target in found if target is not None and target.suffix == ".html"]
    assert set(_pages(site)) <= seen | {site / "search.html", site / "py-modindex.html", site / "genindex.html"}


def test_links_and_pictures_lead_to_something(site: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # LinkChecker becomes "nobody" where it is started by root, who alone may look into pytest's folders.
        Path(folder).chmod(0o755)
        shutil.copytree(site, copy := Path(folder, "html"))
        command = [sys.executable, "-m", "linkcheck", "--config", str(ROOT / "docs/linkcheckerrc"), "--no-status"]
        run = subprocess.run([*command, str(copy / "index.html")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "0 errors found" in run.stdout


def test_anchors_are_there(site: Path) -> None:
    missing = [
        f"{page.relative_to(site)}: {link['href']}"
        for page in _pages(site)
        for link in _soup(page).find_all("a", href=True)
        for target, anchor in [_target(page, str(link["href"]))]
        if target is not None and anchor and target.suffix == ".html" and anchor not in _anchors(target)
    ]
    assert missing == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in _pages(site):
        for name, attribute in _LOADED.items():
            for element in _soup(page).find_all(name):
                assert "//" not in str(element.get(attribute, "")), f"{page.name}: {element}"
    for style in site.rglob("*.css"):
        # Comments name where a style was found.
        text = re.sub(r"/\*.*?\*/", "", style.read_text(), flags=re.DOTALL)
        assert not re.search(r"(@import|url\(\s*['\"]?)\s*['\"]?(https?:)?//", text), style


def test_links_to_other_sites_are_listed_and_secure(site: Path) -> None:
    urls = (site / "external_links.txt").read_text().split()
    assert "https://airflow.apache.org/" in urls
    assert all(url.startswith("https://") for url in urls)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a link](http://example.org/)", "it is not https"),
        ("[a link](https://localhost/)", "it names no public host"),
        ("[a page](nowhere.md)", "cross-reference target not found"),
        ("[an anchor](limits.md#nowhere)", "nowhere"),
        ("![a picture](images/nowhere.png)", "image file not readable"),
    ],
)
def test_a_fault_in_a_page_fails_the_build(text: str, fault: str, tmp_path: Path) -> None:
    """Two pages only, with the site's own rules."""
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copytree(ROOT / "docs/_extensions", docs / "_extensions")
    conf = (ROOT / "docs/conf.py").read_text().replace('"reference_pages",', "")
    # The theme and its parts are not in question, and cost most of the time.
    (docs / "conf.py").write_text(f'{conf}\nhtml_theme = "basic"\nhtml_static_path = []\nhtml_theme_options = {{}}\n')
    (docs / "index.md").write_text(f"# Title\n\n{text}\n\n<!-- sphinx\n:::{{toctree}}\nlimits\n:::\n-->\n")
    (docs / "limits.md").write_text("# Limits\n")
    run = _build(tmp_path)
    assert run.returncode != 0
    assert fault in run.stderr


def test_it_says_its_version(site: Path) -> None:
    assert f"airflow-provider-globus {__version__}" in (site / "index.html").read_text()


def test_a_search_finds_operators_and_their_parameters(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    for word in ("globustransferoperator", "stuck_grac", "globus_default"):
        assert word in index.lower()


# The reference


def _named_in_provider_info() -> Iterator[str]:
    """The dotted name of everything that Airflow may load from the package."""
    info = get_provider_info()
    for kind in ("operators", "sensors", "hooks", "triggers"):
        for name in (name for group in info.get(kind, ()) for name in group["python-modules"]):
            yield from (f"{cls.__module__}.{cls.__name__}" for cls in _offered(name))
    yield from info.get("extra-links", ())
    yield from info.get("notifications", ())
    yield from (decorator["class-name"] for decorator in info.get("task-decorators", ()))
    yield from (connection["hook-class-name"] for connection in info.get("connection-types", ()))
    for assets in info.get("asset-uris", ()):
        yield from (assets[key] for key in ("handler", "factory", "to_openlineage_converter"))
    yield from (f"{module}.get_fs" for module in info.get("filesystems", ()))


def _offered(name: str) -> list[type]:
    """What authors use of a module: concrete classes that Airflow runs, and hooks."""
    module = importlib.import_module(name)
    found = [value for key, value in vars(module).items() if inspect.isclass(value) and not key.startswith("_")]
    own = [cls for cls in found if cls.__module__ == name or cls.__name__ in getattr(module, "__all__", ())]
    return [cls for cls in own if not inspect.isabstract(cls) and _runs(cls)]


def _runs(cls: type) -> bool:
    ours = [base for base in cls.__mro__ if base.__module__.startswith("airflow_provider_globus")]
    return any(name in vars(base) for base in ours for name in ("execute", "run", "test_connection"))


def _reference(name: str, inventory: Inventory) -> str:
    """Where something of the package is on the site."""
    for kind in ("py:class", "py:function", "py:exception"):
        if name in inventory.get(kind, {}):
            return str(inventory[kind][name].uri)
    return ""


@pytest.mark.parametrize("name", sorted(set(_named_in_provider_info())))
def test_what_airflow_may_load_has_its_place(name: str, inventory: Inventory) -> None:
    assert _reference(name, inventory).startswith("reference/")


def _classes(*kinds: str) -> list[type]:
    info = get_provider_info()
    names = [name for kind in kinds for group in info[kind] for name in group["python-modules"]]
    return sorted({cls for name in names for cls in _offered(name)}, key=lambda cls: cls.__name__)


def _constructor(cls: type) -> dict[str, inspect.Parameter]:
    """The parameters that this package's constructors take, along all bases."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("airflow_provider_globus") and "__init__" in vars(base):
            for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
                if name != "self" and parameter.kind != inspect.Parameter.VAR_KEYWORD:
                    found.setdefault(name, parameter)
    return found


@pytest.mark.parametrize("cls", _classes("operators", "sensors", "triggers"), ids=lambda cls: cls.__name__)
def test_every_parameter_is_told(cls: type, site: Path, inventory: Inventory) -> None:
    page = site / _reference(f"{cls.__module__}.{cls.__name__}", inventory).partition("#")[0]
    taken = _constructor(cls)
    assert "globus_conn_id" in taken
    for name, parameter in taken.items():
        entry = _soup(page).find(id=f"{cls.__name__}-{name}".lower().replace("_", "-"))
        assert entry is not None, f"{cls.__name__} takes {name}, and the reference does not say so"
        term, text = entry.find("dt"), entry.find("dd")
        assert term is not None
        assert text is not None
        said = term.get_text()
        assert said.startswith(name)
        assert text.get_text().strip() != "Not described.", (
            f"No docstring of {cls.__name__} or its bases tells of {name}"
        )
        if isinstance(parameter.annotation, str) and parameter.annotation != "Any":
            assert " ".join(parameter.annotation.split()) in " ".join(said.split())
        if parameter.default is parameter.empty:
            assert "required" in said
        elif isinstance(parameter.default, bool | int | float | str):
            assert repr(parameter.default) in said


@pytest.mark.parametrize("cls", _classes("operators", "sensors"), ids=lambda cls: cls.__name__)
def test_templates_and_links_are_told(cls: Any, site: Path, inventory: Inventory) -> None:
    page = site / _reference(f"{cls.__module__}.{cls.__name__}", inventory).partition("#")[0]
    section = _soup(page).find("section", id=cls.__name__.lower())
    assert section is not None
    text = section.get_text()
    for field in cls.template_fields:
        assert field in text.partition("Templated")[2]
    for link in cls.operator_extra_links:
        assert f"Link {link.name}" in text


@pytest.mark.parametrize(
    ("module", "cls", "raised", "others"),
    [
        # By itself and its bases, by the table of endings, and by a function that it uses.
        ("transfer", "GlobusTransferOperator", ("GlobusInputError", "GlobusJobStuckError"), ("GlobusDriftError",)),
        ("gateway_audit", "GlobusStorageGatewayAuditOperator", ("GlobusDriftError",), ("GlobusJobStuckError",)),
        ("compute", "GlobusComputeOperator", ("GlobusEndpointOfflineError", "GlobusResultError"), ()),
    ],
)
def test_errors_are_told(module: str, cls: str, raised: tuple[str, ...], others: tuple[str, ...], site: Path) -> None:
    section = _soup(site / f"reference/generated/operators_{module}.html").find("section", id=cls.lower())
    assert section is not None
    told = section.get_text().partition("Raises")[2]
    assert all(error in told for error in raised)
    assert not any(error in told for error in others)


def test_execution_timeout_of_a_job_is_told(site: Path) -> None:
    text = _soup(site / "reference/generated/operators_transfer.html").get_text()
    assert "execution_timeout counts while the task is deferred too" in " ".join(text.split())


def test_every_error_is_told_as_permanent_or_not(site: Path) -> None:
    rows = _rows(site / "reference/python.html")
    told = {cells[0]: cells[2] for cells in rows if cells[0] in exceptions.__all__}
    assert set(told) == set(exceptions.__all__) - {"is_transient"}
    assert told["GlobusConfigError"] == "permanent: none"
    assert told["GlobusRateLimitError"] == told["GlobusJobFailedError"] == "apply"


def test_every_field_of_the_connection_is_told(site: Path) -> None:
    (connection,) = get_provider_info()["connection-types"]
    told = {cells[1]: cells for cells in _rows(site / "reference/connection.html") if len(cells) == 4}
    for key, field in connection["conn-fields"].items():
        assert told[key][0] == field["label"]
        assert "<" not in field["description"] or "UUID>" in told[key][2]


def test_settings_faults_seed_and_control_plane_of_the_sandbox_are_told(site: Path) -> None:
    rows = {cells[0]: cells for cells in _rows(site / "reference/sandbox.html")}
    for setting in fields(Settings):
        assert rows[setting.name][1] == repr(setting.default)
        assert rows[setting.name][2]
    for name in ("drop_after", "nice_status", "cancel_seconds", "hang", "for_seconds"):
        assert name in rows
    for section, known in SEED_FIELDS.items():
        cells = rows["identities"] if section == "refresh_tokens" else rows[section]
        for field in known:
            assert re.search(rf"\b{field}\b", cells[1]), f"{section} takes {field}, and the page does not say so"
    routes = " ".join(cells[0] for cells in rows.values())
    for route in CONTROL.routes:
        if route.path.startswith("/_sandbox/"):
            assert f"{route.method} {route.path}" in routes


# Reading the built pages


def _pages(site: Path) -> list[Path]:
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


@cache
def _soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(), "html.parser")


@cache
def _anchors(page: Path) -> frozenset[str]:
    return frozenset(str(element["id"]) for element in _soup(page).find_all(id=True)) | {""}


def _target(page: Path, href: str) -> tuple[Path | None, str]:
    """The file of the site that a link leads to, and the place in it; none for a link to elsewhere."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return None, ""
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return target, unquote(parts.fragment)


def _rows(page: Path) -> list[list[str]]:
    """The rows of all tables of a page, as text."""
    return [
        [" ".join(cell.get_text().split()) for cell in row.find_all("td")]
        for row in _soup(page).find_all("tr")
        if row.find("td")
    ]

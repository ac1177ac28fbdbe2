"""Makes requests that no client would make, out of ones that the sandbox has answered."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import sys
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from globus_sdk.testing import ResponseList, get_response_set
from starlette.routing import compile_path

from tests.conformance.fuzz import junk
from tests.conformance.fuzz.site import Known
from tests.conformance.fuzz.wire import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_globus.sandbox.service import Route, Service
    from tests.conformance.fuzz.site import Site

Item = TypeVar("Item")

_NAME = re.compile(r"[@A-Za-z_][A-Za-z0-9_@.-]{0,40}")
_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "X")
#: Names of properties and parameters that hold a path, whatever the service.
_PATH_LIKE = re.compile(r"path|folder|directory|root|^prefix")
_MOST_NODES = 400


class Generator:
    """Makes requests to a site.

    :param choose: returns a number from 0 up to, and without, the one given; the smaller the plainer.
    """

    def __init__(self, site: Site, choose: Callable[[int], int]) -> None:
        self._site = site
        self._choose = choose

    def request(self, service: Service, route: Route) -> Sent:
        """Return a request that is meant for a route, or nearly."""
        templates = self._site.known.get((route.method, route.path)) or recorded(service.name, route.path)
        template = self._one(templates) if templates else Known("", {})
        method = self._one(_METHODS) if self._seldom(60) else route.method
        target = template.target if template.target and not self._seldom(3) else self._target(route)
        query = self._query(service, template, target)
        headers, body = self._body(service, route, template)
        if (authorization := self._authorization(service, route, target)) is not None:
            headers["Authorization"] = authorization
        if self._seldom(5):
            name = self._one(tuple(junk.HEADERS))
            headers[name] = self._one(junk.HEADERS[name])
        return Sent(method, target + (f"?{query}" if query else ""), tuple(headers.items()), body)

    # Choosing

    def _one(self, options: Sequence[Item]) -> Item:
        return options[self._choose(len(options))]

    def _seldom(self, times: int) -> bool:
        """Tell whether to do what is done once in so many times."""
        return self._choose(times) == times - 1

    def _value(self, service: Service) -> Any:
        kind = self._choose(8)
        if kind < 4:
            # A copy, because it may be changed where it is put.
            return _copied(self._one(junk.VALUES))
        if kind == 4:
            return self._path()
        if kind == 5:
            return self._one(vocabulary(service))
        return self._one(self._site.all_ids())

    def _path(self) -> str:
        return self._one(junk.PATHS).replace("{outside}", str(self._site.outside))

    def _text(self, service: Service) -> str:
        value = self._value(service)
        return value if isinstance(value, str) else json.dumps(value)[:5000]

    # Where to

    def _target(self, route: Route) -> str:
        def fill(found: re.Match[str]) -> str:
            name, is_path = found[1], bool(found[2])
            if is_path:
                return _quoted(self._path(), self._one(("/", "", "/%")))
            if self._seldom(5):
                return _quoted(str(self._one(junk.VALUES)), self._one(("", "%"))) or "%20"
            ids = self._site.ids.get(name) if not self._seldom(4) else None
            return _quoted(self._one(ids or self._site.all_ids()))

        return _PARAMETER.sub(fill, route.path)

    def _query(self, service: Service, template: Known, target: str) -> str:
        pairs = list(template.query.items())
        for _ in range(self._choose(4)):
            if pairs and not self._seldom(3):
                number = self._choose(len(pairs))
                name = pairs[number][0]
                value = self._path() if _PATH_LIKE.search(name) and not self._seldom(3) else self._text(service)
                pairs[number] = (name, value)
            else:
                pairs.append((self._one(vocabulary(service)), self._text(service)))
        text = urlencode([(_bytes(name), _bytes(value)) for name, value in pairs])
        return (
            text + self._one(("&%", "&=", "&a", "&%ff=%ff", "&;", "&a=%ed%a0%80", "&a=%00"))
            if self._seldom(12)
            else text
        )

    def _authorization(self, service: Service, route: Route, target: str) -> str | None:
        site = self._site
        if self._seldom(25):
            return self._one(junk.AUTHORIZATIONS)
        if self._seldom(25):
            return "Bearer " + self._one((site.others, site.expired))(service.name)
        if self._seldom(25):
            return None
        if service.name == "auth" and route.public:
            return site.basic()
        # Services whose tokens are for one flow, or one collection.
        own = next((item for item in site.ids["flow_id"] + site.ids["collection_id"] if item in target), None)
        name = (
            own
            if own and (service.name == "https" or (service.name == "flows" and not self._seldom(3)))
            else service.name
        )
        return f"Bearer {site.token(name, 'other' if self._seldom(8) else 'me')}"

    # What is in it

    def _body(self, service: Service, route: Route, template: Known) -> tuple[dict[str, str], bytes]:
        if self._seldom(10):
            return {"Content-Type": self._one(junk.CONTENT_TYPES)}, self._one(junk.BODIES)
        if template.form is not None:
            form = [(_bytes(name), _bytes(str(value))) for name, value in self._mutated(service, template.form).items()]
            return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
        document = template.document
        if document is None and route.method in ("GET", "HEAD", "DELETE"):
            return {}, b""
        if service.takes_files:
            return {"Content-Type": "application/octet-stream"}, b"x" * self._one((1, 0, 10, 100_000))
        document = self._mutated(service, {} if document is None else document)
        kind = "application/json" if not self._seldom(20) else self._one(junk.CONTENT_TYPES)
        return {"Content-Type": kind}, json.dumps(document).encode()

    def _mutated(self, service: Service, document: Any) -> Any:
        document = _copied(document)
        for _ in range(self._choose(4)):
            places = list(islice(_places(document), _MOST_NODES))
            if not places or not isinstance(document, (dict, list)):
                if not isinstance(document, dict):
                    return self._value(service)
                document[self._one(vocabulary(service))] = self._value(service)
                continue
            inside, key = self._one(places)
            self._mutate(service, inside, key)
        return document

    def _mutate(self, service: Service, inside: Any, key: Any) -> None:
        how = self._choose(8)
        if how < 4:
            path_like = isinstance(key, str) and _PATH_LIKE.search(key) and not self._seldom(3)
            inside[key] = self._path() if path_like else self._value(service)
        elif how == 4:
            del inside[key]
        elif how == 5 and isinstance(inside, dict):
            inside[self._one(vocabulary(service))] = self._value(service)
        elif how == 5:
            inside.extend([_copied(inside[key]) for _ in range(self._one((1, 2, 50)))])
        elif how == 6 and isinstance(inside, dict):
            inside[self._one(("", "\ud800", "a" * 5000, key + "x", key.upper(), "__class__"))] = inside.pop(key)
        else:
            inside[key] = self._one(([inside[key]], {"a": inside[key]}, str(inside[key])[:5000], [inside[key], 1]))


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where there is a value in a document, the outermost first."""
    waiting = [document]
    while waiting:
        inside = waiting.pop(0)
        keys = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        for key in list(keys)[:50]:
            yield inside, key
            waiting.append(inside[key])


def _copied(value: Any) -> Any:
    # However deep it is; what the copy module does is recursive.
    return json.loads(json.dumps(value))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _quoted(text: str, safe: str = "") -> str:
    return quote(_bytes(text), safe=safe)


def vocabulary(service: Service) -> tuple[str, ...]:
    """Return the names that a service's modules speak of: its parameters and properties are among them."""
    return _names(tuple(sorted({route.handler.__module__.rpartition(".")[0] for route in service.routes})))


@cache
def _names(packages: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = dict.fromkeys(("fields", "format"))
    for package in packages:
        folder = Path(str(sys.modules[package].__file__)).parent
        for file in sorted(folder.glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
                    found[node.value] = None
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found[node.target.id] = None
    return tuple(found)


@cache
def recorded(service: str, path: str) -> tuple[Known, ...]:
    """Return what the SDK has recorded of a route: answers have the properties of what is sent."""
    pattern = compile_path(path)[0]
    return tuple(Known("", {}, document) for shown, document in _recordings(service) if pattern.match(shown))


@cache
def _recordings(service: str) -> tuple[tuple[str, Any], ...]:
    """Return the path and the document of every recording that the SDK has of a service."""
    if find_spec(f"globus_sdk.testing.data.{service}") is None:
        return ()
    package = importlib.import_module(f"globus_sdk.testing.data.{service}")
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    sets = [get_response_set(name.removeprefix("globus_sdk.testing.data.")) for name in names if _is_set(name)]
    responses = [responses.lookup(case) for responses in sets for case in responses.cases()]
    single = [item for found in responses for item in (found.responses if isinstance(found, ResponseList) else [found])]
    return tuple(("/" + item.path.lstrip("/"), item.json) for item in single if item.json is not None)


def _is_set(name: str) -> bool:
    return hasattr(importlib.import_module(name), "RESPONSES")

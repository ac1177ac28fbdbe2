"""What clients send: documents and their fields, refused as the schemas of the service's requests do."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox.service import ServiceRequest

_Value = TypeVar("_Value")
#: The way to what is looked at, from ``body``, ``path`` or ``query``.
Where: TypeAlias = tuple[str | int, ...]

_REFUSALS: dict[type, tuple[str, str]] = {
    str: ("str type expected", "type_error.str"),
    bool: ("value could not be parsed to a boolean", "type_error.bool"),
    dict: ("value is not a valid dict", "type_error.dict"),
    list: ("value is not a valid list", "type_error.list"),
}


def document_of(request: ServiceRequest) -> dict[str, Any]:
    """Return the JSON document of a request."""
    try:
        return request.json()
    except ServiceError as error:
        raise errors.invalid(("body",), error.message, "value_error.jsondecode") from None


def required(document: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
    """Return a field that has to be there."""
    if name not in document:
        raise errors.invalid(("body", name), "field required", "value_error.missing")
    return checked(document[name], kind, ("body", name))


def optional(document: Mapping[str, Any], name: str, kind: type[_Value], default: _Value) -> _Value:
    """Return a field; what is null is as if it were not there."""
    value = document.get(name)
    return default if value is None else checked(value, kind, ("body", name))


def checked(value: object, kind: type[_Value], where: Where) -> _Value:
    """Return a value that is of the right type."""
    if not isinstance(value, kind):
        raise errors.invalid(where, *_REFUSALS[kind])
    return value


def texts(values: list[Any], where: Where) -> list[str]:
    """Return a list of texts."""
    return [checked(value, str, (*where, number)) for number, value in enumerate(values)]


def canonical(text: object, where: Where) -> str:
    """Return a UUID as the service writes it; what is none is refused."""
    try:
        return str(uuid.UUID(str(text)))
    except ValueError:
        raise errors.invalid(where, "value is not a valid uuid", "type_error.uuid") from None

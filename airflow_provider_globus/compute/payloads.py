"""Arguments on their way out, results on their way back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from airflow_provider_globus.exceptions import GlobusInputError, GlobusResultError

#: How results may come back. ``dill`` runs code of the endpoint's choosing in the process that reads the result.
ResultSerializer = Literal["json", "dill"]

#: What Compute takes in one submission (its documentation: 10 MB), less some room for what surrounds the arguments.
SUBMISSION_BYTES = 10_000_000
_BATCH_BYTES = SUBMISSION_BYTES - 16_384

#: by class, as the endpoint imports it
_STRATEGIES = {"json": "JSONData", "dill": "DillDataBase64"}


class Arguments(NamedTuple):
    """
    The arguments of one call.

    :param where: says which call is meant, for an error, for example `` of input 3``.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    where: str = ""


def pack_arguments(arguments: Arguments) -> str:
    """
    The arguments of a call as Compute takes them: JSON when they are JSON already, else dill.

    :raises GlobusInputError: naming the argument that cannot travel, or when all together are too large.
    """
    from globus_compute_sdk.serialize import ComputeSerializer

    where = arguments.where
    args = [_plain_sequence(value) for value in arguments.args]
    kwargs = {name: _plain_sequence(value) for name, value in arguments.kwargs.items()}
    for name, value in (*((f"op_args[{n}]", v) for n, v in enumerate(args)), *kwargs.items()):
        _refuse_airflow_objects(name, value, where)
    buffers = [_serialize(args, lambda n: f"op_args[{n}]", where), _serialize(kwargs, str, where)]
    packed: str = ComputeSerializer().pack_buffers(buffers)
    if (size := _sent_size(packed)) > _BATCH_BYTES:
        raise GlobusInputError(
            f"The arguments{where} take {size / 1e6:.1f} MB; "
            f"Globus Compute takes {SUBMISSION_BYTES / 1e6:.0f} MB in one submission.",
            advice="Move the data with Globus Transfer, and pass the path of the file.",
        )
    return packed


def _plain_sequence(value: Any) -> Any:
    # The results of a mapped task come as Airflow's own lazy sequence.
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, list, tuple)):
        return list(value)
    return value


def _refuse_airflow_objects(name: str, value: Any, where: str) -> None:
    if type(value).__module__.partition(".")[0] == "airflow":
        raise GlobusInputError(
            f"The argument {name}{where} is an Airflow {type(value).__name__}, which never travels to an endpoint.",
            advice="Pass the values that the function needs, for example '{{ ds }}' or '{{ ti.xcom_pull(...) }}'.",
        )


def _serialize(values: list[Any] | dict[str, Any], name: Any, where: str) -> str:
    from globus_compute_sdk.errors import SerializationError
    from globus_compute_sdk.serialize import ComputeSerializer, DillDataBase64, JSONData

    if is_json(values):
        return ComputeSerializer(strategy_data=JSONData).serialize(values)
    by_dill = ComputeSerializer(strategy_data=DillDataBase64)
    try:
        return by_dill.serialize(values)
    except SerializationError:
        pass
    for key, value in enumerate(values) if isinstance(values, list) else values.items():
        try:
            by_dill.serialize([value])
        except SerializationError as error:
            raise GlobusInputError(
                f"The argument {name(key)}{where} ({type(value).__name__}) cannot be serialised: {error.__cause__}.",
                advice="Pass plain data, or a path that the function opens itself.",
            ) from None
    raise GlobusInputError(f"The arguments{where} cannot be serialised together.")


def is_json(value: Any) -> bool:
    """Whether ``value`` comes back from JSON as it was."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return type(value) in (type(None), str, bool, int, float)
    if type(value) is list:
        return all(map(is_json, value))
    return type(value) is dict and all(type(key) is str and is_json(item) for key, item in value.items())


def chunks(payloads: Sequence[str]) -> list[list[str]]:
    """Split payloads into as few submissions as the service's limit allows, in their order."""
    found: list[list[str]] = []
    size = _BATCH_BYTES
    for payload in payloads:
        needed = _sent_size(payload)
        if size + needed > _BATCH_BYTES:
            found.append([])
            size = 0
        found[-1].append(payload)
        size += needed
    return found


def _sent_size(payload: str) -> int:
    """Bytes of a payload in a submission: JSON quotes some of its characters, and a comma follows."""
    return len(json.dumps(payload)) + 2


def result_strategies(serializer: ResultSerializer) -> list[str]:
    """What a submission asks the endpoint to serialise results with."""
    return [f"globus_compute_sdk.serialize.{_STRATEGIES[serializer]}"]


def unpack_result(result: str, serializer: ResultSerializer) -> Any:
    """
    Read a result.

    :raises GlobusResultError: when it is not serialised as asked for; nothing of it has then been read.
    """
    from globus_compute_sdk.serialize import DillDataBase64, JSONData

    # Not the SDK's own allow-list of deserialisers: it wants one for code on it, and reading code runs it.
    for strategy in (JSONData,) if serializer == "json" else (JSONData, DillDataBase64):
        if result.startswith(strategy.identifier):
            try:
                return strategy().deserialize(result)
            except Exception as error:
                raise GlobusResultError(
                    f"The result cannot be read: {type(error).__name__}: {error}.",
                    advice="With result_serializer='dill', this worker needs the classes and versions that the "
                    "endpoint has; plain data as a JSON result needs neither.",
                ) from None
    raise GlobusResultError(
        f"The endpoint did not send the result as {serializer}, so it was not read.",
        advice="Update the endpoint: it must honour result_serializers. Only if you trust whoever runs it to run code "
        "in your Airflow workers, set result_serializer='dill'.",
    )

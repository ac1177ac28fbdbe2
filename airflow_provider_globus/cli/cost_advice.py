"""What would make a DAG's waits cheaper: advice for ``airflow globus cost``, each with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_globus.costs import LIMITS, Load, Poll, Waiting, service_of
from airflow_provider_globus.jobs.transfer import PENDING_TASKS
from airflow_provider_globus.operators.compute_map import GlobusComputeMapOperator

#: Transfers of an identity that Globus works on at a time.
ACTIVE_TRANSFERS = 3

#: Mapped functions from which one operator for all is better.
_MANY_FUNCTIONS = 24

#: The part of Globus's limit that waiting should leave to all else that the identity does.
_MODEST_SHARE = 0.1

_DEFAULT_POOL = "default_pool"


def advice(waits: Sequence[Waiting], polls: Sequence[Poll], loads: Sequence[Load]) -> list[str]:
    """What to change, most specific first; empty when all is well."""
    return [
        *(line for waiting in waits for line in _of_waiting(waiting)),
        *(line for poll in polls for line in _of_poll(poll)),
        *(line for load in loads for line in _of_load(load)),
    ]


def _of_waiting(waiting: Waiting) -> Iterator[str]:
    if not waiting.deferred:
        holds = "holds a worker slot" if waiting.tasks == 1 else f"holds {waiting.tasks} worker slots"
        shares = service_of(waiting.look).batch_size > 1
        more = "it then waits in the triggerer" + (", where it shares its calls with others." if shares else ".")
        yield f"{waiting.name} {holds} while it waits: set deferrable=True; {more}"
    if waiting.role != "job" or waiting.tasks < 2:
        return
    if waiting.look == "compute" and waiting.kind != GlobusComputeMapOperator.__name__:
        if waiting.tasks > _MANY_FUNCTIONS:
            limit, calls = LIMITS["Compute"], waiting.tasks * waiting.beside
            yield (
                f"{waiting.name} submits {waiting.tasks} functions with {calls} calls, for which Globus takes "
                f"{calls * limit.seconds / limit.calls:.0f} s at least: GlobusComputeMapOperator needs a few."
            )
    elif waiting.look == "transfer" and waiting.tasks > ACTIVE_TRANSFERS:
        yield (
            f"{waiting.name} submits {waiting.tasks} transfers; Globus works on {ACTIVE_TRANSFERS} at a time and takes "
            f"{PENDING_TASKS} unfinished ones of an identity: one transfer may have many items."
        )
        if waiting.pool == _DEFAULT_POOL:
            yield f"If {waiting.name} has to be many transfers, give it a pool that includes deferred tasks."


def _of_poll(poll: Poll) -> Iterator[str]:
    if poll.seconds_a_round > poll.interval:
        names = ", ".join(member.name for member in poll.members)
        yield (
            f"A look at all {poll.jobs} of {names} takes {poll.seconds_a_round:.0f} s, since "
            f"{service_of(poll.look).batch_size} is asked for with a call: every {poll.interval:g} s is not kept; "
            "raise the interval."
        )


def _of_load(load: Load) -> Iterator[str]:
    share = load.share
    if share is None or share <= _MODEST_SHARE:
        return
    factor = share / _MODEST_SHARE
    yield (
        f"Waiting takes {share:.0%} of what Globus {load.api} answers {load.conn_id}: with intervals "
        f"{factor:.1f} times as long it takes {_MODEST_SHARE:.0%}."
    )

"""Sensor for what all users do on a collection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_globus.moments import point_in_time
from airflow_provider_globus.sensors.base import GlobusJobSensor

if TYPE_CHECKING:
    from airflow_provider_globus.jobs.activity import ActivityCondition


class GlobusCollectionActivitySensor(GlobusJobSensor):
    """
    Wait until the tasks of all users on a collection are as they should be.

    The identity of the connection needs the role ``activity_monitor`` (or ``activity_manager``) on the collection, on
    the one it is shared from, or on the endpoint. Conditions:

    ``quiet``
        No task is unfinished; with ``lasting``, none has ended within so many seconds, either.
    ``finished``
        ``min_tasks`` tasks have ended since ``since``, well or not, and none is unfinished.
    ``trouble``
        ``min_tasks`` unfinished tasks are stuck: suspended, or with a fault that time does not cure, or with at least
        ``min_faults`` faults; with ``lasting``, there have been so many at every look for so many seconds.
    ``arrived``
        Tasks that wrote to the collection since ``since`` and succeeded are ``min_tasks``, and moved ``min_bytes``.

    Returns ``condition``, ``tasks``, ``succeeded``, ``failed``, ``unfinished``, ``bytes`` and the first 50 tasks as
    ``listed``.

    :param collection: UUID, alias of the connection, or unique display name; or the UUID of a Connect Server endpoint,
        for all collections on it.
    :param condition: ``quiet``, ``finished``, ``trouble`` or ``arrived``.
    :param since: begin of the window: a datetime or its ISO text, for example ``{{ data_interval_start }}``. Default:
        the sensor's first look, anew in each try.
    :param use: ``source`` or ``destination``: only tasks that use the collection as that.
    :param owners: only tasks of these identities (UUIDs or usernames). Default: of all.
    :param exclude_own: leave out tasks of the connection's own identity.
    :param min_tasks: see above. Default: 1.
    :param min_bytes: see above; for ``arrived``.
    :param min_faults: see above; for ``trouble``.
    :param lasting: seconds; for ``quiet`` and ``trouble``. Tasks are dated by Globus's clock.
    """

    template_fields: Sequence[str] = ("collection", "since", "owners", "globus_conn_id")
    service_name = "activity"

    def __init__(
        self,
        *,
        collection: str,
        condition: Literal["quiet", "finished", "trouble", "arrived"] = "quiet",
        since: datetime | str | None = None,
        use: Literal["source", "destination"] | None = None,
        owners: Sequence[str] | str | None = None,
        exclude_own: bool = False,
        min_tasks: int = 1,
        min_bytes: int = 0,
        min_faults: int | None = None,
        lasting: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.condition = condition
        self.since = since
        self.use = use
        self.owners = owners
        self.exclude_own = exclude_own
        self.min_tasks = min_tasks
        self.min_bytes = min_bytes
        self.min_faults = min_faults
        self.lasting = lasting
        self._check()

    def job_ids(self) -> list[str]:
        """The condition as text."""
        return [self._condition.job_id]

    def _check(self) -> None:
        from airflow_provider_globus.jobs.activity import CONDITIONS

        if self.condition not in CONDITIONS:
            raise self.refuse(f"condition {self.condition!r} is unknown.", f"Choose from {', '.join(CONDITIONS)}.")
        if self.use not in (None, "source", "destination"):
            raise self.refuse(f"use {self.use!r} is unknown.", "Choose source or destination.")
        if self.min_tasks < 1 or self.min_bytes < 0 or self.lasting < 0:
            raise self.refuse("min_tasks must be at least 1; min_bytes and lasting must not be below 0.")
        if self.min_faults is not None and self.min_faults < 1:
            raise self.refuse(f"min_faults must be at least 1, not {self.min_faults}.")
        for name, meant, given in (
            ("min_bytes", ("arrived",), self.min_bytes > 0),
            ("min_faults", ("trouble",), self.min_faults is not None),
            ("min_tasks", ("finished", "trouble", "arrived"), self.min_tasks > 1),
            ("lasting", ("quiet", "trouble"), self.lasting > 0),
            ("since", ("finished", "arrived"), self.since is not None),
        ):
            if given and self.condition not in meant:
                raise self.refuse(f"{name} means nothing for the condition {self.condition!r}.")
        if self.condition == "arrived" and self.use == "source":
            raise self.refuse("what arrives uses the collection as destination, not as source.")

    @cached_property
    def _condition(self) -> ActivityCondition:
        from airflow_provider_globus.jobs.activity import ActivityCondition
        from airflow_provider_globus.operators.principals import identity_ids, own_identity_id

        given = None if self.since in (None, "") else point_in_time(self.since, "since", self.refuse)
        return ActivityCondition(
            collection_id=self.hook.resolve_collection(self.collection),
            shown=self.collection,
            condition=self.condition,
            since=given.timestamp() if given else time.time(),
            use="destination" if self.condition == "arrived" else self.use,
            owners=identity_ids(self.hook, self.owners),
            not_owners=[own_identity_id(self.hook)] if self.exclude_own else [],
            min_tasks=self.min_tasks,
            min_bytes=self.min_bytes,
            min_faults=self.min_faults,
            lasting=self.lasting,
        )

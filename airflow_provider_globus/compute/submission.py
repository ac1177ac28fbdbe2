"""
Submissions to Globus Compute, each accepted once as far as the service lets us tell.

Compute has no key that makes a submission unique, and takes no group id of our choosing. So a task group is opened
first, by a function that does nothing, and made durable; then the work is sent into it. Whatever dies after that: the
group tells what has been accepted. What is left open is said in :class:`Sender`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_globus.compute.payloads import Arguments, pack_arguments
from airflow_provider_globus.exceptions import (
    GlobusError,
    GlobusJobFailedError,
    GlobusSubmissionUnknownError,
    GlobusUnavailableError,
)
from airflow_provider_globus.looks import look_for

if TYPE_CHECKING:
    import logging
    import threading

    from airflow_provider_globus.hooks.globus import GlobusHook

#: Times that a batch is sent when no answer comes.
_SENDS = 4

#: Times that tasks which no submission accounts for are counted, and seconds in between.
_COUNTS, _RECOUNT_SECONDS = 3, 1.0


class TaskGroup(NamedTuple):
    """
    A task group opened for one Airflow task.

    :param id: its id.
    :param opener: the task that opened it.
    """

    id: str
    opener: str

    def __str__(self) -> str:
        return f"{self.id}/{self.opener}"

    @classmethod
    def parse(cls, text: str) -> TaskGroup:
        """Read what ``str`` wrote."""
        return cls(*text.split("/"))


def runtime() -> dict[str, Any]:
    """What a submission tells the endpoint about this Python, for its configuration template."""
    from dataclasses import asdict

    from globus_compute_sdk.sdk.batch import create_user_runtime

    return asdict(create_user_runtime())


class Sender:
    """
    Sends the tasks of one Airflow task to an endpoint.

    A request without an answer is not sent again before the group was looked at for some ten seconds. Two windows are
    left, and both take a lost answer or a dead worker: a request that the service accepts later than that; and, when
    there is no group, any such loss, which is then an error rather than a second submission.

    :param body: fields that all submissions share.
    :param group: the group that all go into.
    :param accepted: ids accepted by earlier requests, in the order of the payloads.
    :param ordered: whether they are.
    :param note: called with the accepted ids, and whether they are in order, after each request that brought some.
    :param stop: set when the task is killed: nothing is sent any more.
    """

    def __init__(
        self,
        hook: GlobusHook,
        endpoint_id: str,
        body: Mapping[str, Any],
        group: TaskGroup | None,
        *,
        accepted: Sequence[str],
        ordered: bool,
        note: Callable[[list[str], bool], None],
        log: logging.Logger | Any,
        stop: threading.Event,
    ) -> None:
        self._hook = hook
        self._endpoint_id = endpoint_id
        self._body = dict(body)
        self._group = group
        self._note = note
        self._log = log
        self._stop = stop
        self.accepted = list(accepted)
        self._ordered = ordered

    def send(self, function_id: str, batches: Sequence[Sequence[str]], *, resumed: bool) -> list[str]:
        """
        Send what has not been accepted yet.

        :param batches: payloads, split into submissions the same way at every try.
        :param resumed: an earlier try may have sent some of them.
        :return: ids of all tasks.
        :raises GlobusSubmissionUnknownError: when it cannot be told what was accepted.
        """
        if resumed:
            self._recover(batches)
        done = 0
        for batch in batches:
            done += len(batch)
            if done > len(self.accepted):
                self._send_batch(function_id, batch)
        return self.accepted

    def _recover(self, batches: Sequence[Sequence[str]]) -> None:
        """Take over what an earlier try has sent; its last request may still be on its way."""
        if len(self.accepted) == sum(map(len, batches)):
            return
        if self._group is None:
            raise self._unknown("An earlier try ended while it was submitting.")
        self._log.info("Looking whether the task group %s has what an earlier try sent.", self._group.id)
        killed = GlobusJobFailedError("The task was killed before its function was submitted.")
        if found := look_for(self._new_tasks, stop=self._stop, killed=killed, at_once=True):
            self._adopt(found, batches[self._batches_accepted(batches) :])

    def _batches_accepted(self, batches: Sequence[Sequence[str]]) -> int:
        number, tasks = 0, 0
        while tasks < len(self.accepted):
            tasks += len(batches[number])
            number += 1
        return number

    def _send_batch(self, function_id: str, batch: Sequence[str]) -> None:
        for sent in range(1, _SENDS + 1):
            try:
                answer = self._post(function_id, batch)
            except GlobusUnavailableError as error:
                if self._group is None:
                    raise self._unknown(error.message) from None
                if self._was_accepted(batch, error):
                    return
                if sent == _SENDS:
                    raise
            else:
                self._accept([str(task_id) for task_id in answer["tasks"][function_id]])
                return

    def _post(self, function_id: str, batch: Sequence[str]) -> dict[str, Any]:
        body = {"create_queue": False, "tasks": {function_id: list(batch)}, "user_runtime": runtime(), **self._body}
        if self._group is not None:
            body["task_group_id"] = self._group.id
        client = self._hook.compute_client_v3(resend=False)
        what = "a task" if len(batch) == 1 else f"{len(batch)} tasks"
        doing = f"submitting {what} to the Compute endpoint {self._endpoint_id}"
        return self._hook.call(doing, client.submit, self._endpoint_id, body)

    def _was_accepted(self, batch: Sequence[str], error: GlobusError) -> bool:
        """Whether the service accepted a batch without our hearing of it."""
        assert self._group is not None
        self._log.warning("%s Looking whether the task group %s has it.", error.message, self._group.id)
        found = look_for(self._new_tasks, stop=self._stop, killed=error)
        if found is None:
            return False
        self._adopt(found, [batch])
        return True

    def _new_tasks(self) -> list[str]:
        assert self._group is not None
        client = self._hook.compute_client_v2()
        answer = self._hook.call(f"looking at the task group {self._group.id}", client.get_task_group, self._group.id)
        known = {self._group.opener, *self.accepted}
        return [str(task["id"]) for task in answer["tasks"] if str(task["id"]) not in known]

    def _adopt(self, found: list[str], batches: Sequence[Sequence[str]]) -> None:
        """Take over tasks that an unheard answer told of; a submission is accepted as a whole."""
        for _ in range(_COUNTS):
            for count in range(1, len(batches) + 1):
                if sum(map(len, batches[:count])) == len(found):
                    self._ordered = self._ordered and len(found) == 1
                    self._log.info("Adopting %d tasks that had been accepted already.", len(found))
                    self._accept(found)
                    return
            # The service may still be writing them down.
            self._stop.wait(_RECOUNT_SECONDS)
            found = self._new_tasks()
        raise self._unknown(f"The task group holds {len(found)} tasks that no submission of ours accounts for.")

    def _accept(self, task_ids: list[str]) -> None:
        self.accepted += task_ids
        self._note(self.accepted, self._ordered)

    def _unknown(self, why: str) -> GlobusSubmissionUnknownError:
        where = f"task group {self._group.id}" if self._group else "no task group"
        return GlobusSubmissionUnknownError(
            f"{why} Whether Globus Compute has accepted tasks for endpoint {self._endpoint_id} cannot be told "
            f"({where}), so they are not sent again.",
            advice="See whether the function has run at the endpoint, then clear the task to submit it anew.",
        )


def open_group(hook: GlobusHook, endpoint_id: str, function_id: str, body: Mapping[str, Any]) -> TaskGroup:
    """
    Have the service make a task group, by submitting a function that does nothing. Doing so twice does no harm.

    :param body: fields of the submission, such as ``user_endpoint_config``.
    """
    client = hook.compute_client_v3()
    document = {
        "create_queue": False,
        "tasks": {function_id: [pack_arguments(Arguments([], {}))]},
        "user_runtime": runtime(),
        **body,
    }
    doing = f"opening a task group at the Compute endpoint {endpoint_id}"
    answer = hook.call(doing, client.submit, endpoint_id, document)
    return TaskGroup(str(answer["task_group_id"]), str(answer["tasks"][function_id][0]))

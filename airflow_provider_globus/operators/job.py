"""The base of all operators that have Globus run a job and wait for it."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_globus.exceptions import (
    GlobusConflictError,
    GlobusError,
    GlobusJobError,
    GlobusJobFailedError,
    GlobusJobTimeoutError,
    GlobusServiceError,
    GlobusSubmissionUnknownError,
    GlobusTaskLimitError,
    is_transient,
)
from airflow_provider_globus.jobs import job_service
from airflow_provider_globus.jobs.base import Outcome, Verdict
from airflow_provider_globus.jobs.watch import JobWatch, verdict_of_event, wait
from airflow_provider_globus.links import GlobusTaskLink
from airflow_provider_globus.operators.datasets import GlobusDatasetOperator
from airflow_provider_globus.operators.deferral import default_deferrable, settle_seconds
from airflow_provider_globus.operators.endings import ENDINGS, ENDINGS_RUNNING_ON, JOB_ERRORS
from airflow_provider_globus.operators.fingerprint import digest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_globus.jobs.base import JobService
    from airflow_provider_globus.operators.ledger import Entry, Ledger

#: Seconds that a deferrable task first waits in its worker: a short job then costs no deferral.
WORKER_WAIT = 5.0

#: Seconds to wait for a cancelled job to end when its successor collides with it.
_CANCEL_PATIENCE = 120.0

#: Arguments that do not change what a job does.
_PRESENTATION = ("task_label", "run_label", "deadline")


class GlobusJobOperator(GlobusDatasetOperator):
    """
    An operator whose work is a job that Globus runs.

    The job is submitted exactly once however often the worker dies: its key is made durable before the request
    leaves, and a retry adopts what an earlier try submitted. A user who clears the task gets a new job.

    :param deferrable: wait in the triggerer instead of a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks at the job.
    :param worker_wait: seconds that a deferrable task first waits in its worker, so that short jobs never defer; 0
        defers at once.
    :param cancel_on_kill: cancel the job when the task is killed, marked or cleared. Airflow tells a deferred task of
        it from 3.3 on, and only once the triggerer has taken the task up, about a second after it was deferred; a
        task that is cleared cancels its old job in any case.
    :param wait_for_completion: ``False`` ends the task once Globus has accepted the job; a sensor can wait for it.

    ``execution_timeout`` counts while the task is deferred too; when it is over the job is cancelled.
    """

    #: name of the service that runs the job
    service_name: ClassVar[str]
    #: what to wait for when the service takes no more jobs of this identity
    room_service_name: ClassVar[str]
    operator_extra_links: tuple[GlobusTaskLink, ...] = (GlobusTaskLink(),)

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float = 30.0,
        worker_wait: float = WORKER_WAIT,
        cancel_on_kill: bool = True,
        wait_for_completion: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.poll_interval = poll_interval
        self.worker_wait = worker_wait
        self.cancel_on_kill = cancel_on_kill
        self.wait_for_completion = wait_for_completion
        if poll_interval <= 0 or worker_wait < 0:
            raise self.refuse("poll_interval must be above 0 and worker_wait not below 0 seconds.")
        self._entry: Entry | None = None
        self._ledger: Ledger | None = None
        self._resumed = False
        self._give_up_at: float | None = None
        #: what the looks at the job have seen so far; kept over deferrals
        self._memory: dict[str, Any] = {}
        #: whether the job's id and page are in XComs
        self.announced = False

    # What a subclass says

    @abstractmethod
    def prepare(self, context: Context) -> dict[str, Any] | None:
        """
        Check all arguments and make the submission's document (JSON), without submitting.

        :return: ``None`` when there is nothing to do.

        :raises GlobusInputError: naming the argument that cannot be right and the fix.
        """

    @abstractmethod
    def reserve(self) -> str | None:
        """A key under which Globus accepts a submission only once, or by which it is found; if there is one."""

    @abstractmethod
    def submit(self, document: dict[str, Any], key: str | None) -> list[str]:
        """
        Submit the document.

        What takes several requests notes each that was accepted in ``_entry`` and calls :meth:`checkpoint`;
        ``_resumed`` tells whether an earlier try may have sent some already.

        :return: ids of the jobs.
        :raises GlobusConflictError: when the same work is still under way.
        """

    def find_running(self, document: dict[str, Any]) -> tuple[list[str], bool]:
        """
        Unfinished jobs that may be the one Globus says is under way already.

        :return: their ids, and whether an earlier try of this very task submitted them.
        """
        return [], False

    def rules(self) -> dict[str, Any]:
        """Choices for the service's judgement of the job."""
        return {}

    def notes(self) -> dict[str, Any]:
        """What :meth:`result` will need of the preparation: it may run in another process. Small JSON."""
        return {}

    def take(self, verdict: Verdict) -> bool:
        """
        Take over what has ended so far, and start what has to come next.

        :return: whether there is more to wait for.
        """
        return False

    def reconsider(self, verdict: Verdict) -> Verdict:
        """Look at what a job has brought: a success at Globus may be none for this operator."""
        return verdict

    def waiting_for(self) -> list[str]:
        """Ids of the jobs whose end has not been seen yet."""
        return self._job_ids

    def receipt(self) -> Any:
        """What goes to XCom when the task does not wait; JSON."""
        return {"job_ids": self._job_ids}

    def result(self, verdict: Verdict) -> Any:
        """What goes to XCom; JSON."""
        return dict(verdict.result)

    def facts(self, verdict: Verdict) -> dict[str, Any]:
        """Which jobs have written the task's assets."""
        return {"service": self.service_name, "job_ids": self._job_ids}

    def url(self) -> str | None:
        """Where a person can look at the job."""
        if not self._job_ids:
            return None
        return self.service.url(self.hook.settings.web_app_url, self._job_ids[0])

    # What all share

    @cached_property
    def service(self) -> JobService:
        """The service that runs the job."""
        return job_service(self.service_name)

    def execute(self, context: Context) -> Any:
        """Submit the job, or adopt what an earlier try submitted, and wait for it."""
        from airflow_provider_globus.operators.ledger import Ledger

        ledger = self._ledger = Ledger(context, self.log)
        verdict = self._adopt(ledger)
        if verdict is None:
            document = self.prepare(context)
            if document is None:
                return self.result(Verdict(Outcome.SUCCEEDED))
            self._submit(ledger, document)
        self._announce(context)
        if not self.wait_for_completion:
            return self.receipt()
        try:
            if verdict is None or verdict.outcome == Outcome.RUNNING:
                verdict = self._wait()
            return self._finish(context, ledger, verdict)
        except AirflowTaskTimeout:
            if self.service.cancellable:
                ledger.close()
            raise

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Resume after the deferral: the trigger's event says how the job ended."""
        from airflow_provider_globus.operators.ledger import Entry, Ledger

        verdict = verdict_of_event(event)
        self._give_up_at, self._memory = event.get("deadline"), event.get("memory") or {}
        if event["service"] != self.service_name:
            return self._resume_submission(context, verdict)
        self.announced = True
        ledger = self._ledger = Ledger(context, self.log, resumed=True)
        self._entry = ledger.read() or Entry(None, "", ledger.generation, list(event["job_ids"]), sent=True)
        return self._finish(context, ledger, verdict)

    def on_kill(self) -> None:
        """Cancel the job: the worker was told to stop."""
        super().on_kill()
        if self.cancel_on_kill:
            self._cancel("the task was killed")

    def checkpoint(self) -> None:
        """Make durable what has been accepted so far."""
        if self._ledger is not None and self._entry is not None:
            self._ledger.write(self._entry)

    @property
    def _job_ids(self) -> list[str]:
        return self._entry.job_ids if self._entry else []

    # Submission

    def _fingerprint(self) -> str:
        """A digest of the rendered arguments that say what to do; another one asks for another job."""
        return digest({name: getattr(self, name) for name in self.template_fields if name not in _PRESENTATION})

    def _adopt(self, ledger: Ledger) -> Verdict | None:
        """Take over the job of an earlier try, if there is one to take over; ``None`` asks for a submission."""
        entry = ledger.read()
        if entry is None or entry.closed:
            return None
        changed = entry.fingerprint != self._fingerprint()
        if not entry.sent:
            # The earlier try died before the answer came: sending its key again yields that job, or makes it.
            self._entry = None if changed else entry
            self._resumed = not changed
            return None
        if ledger.is_rerun(entry) or changed:
            self._discard(entry, "its arguments have changed" if changed else "the task was cleared")
            return None
        self._entry = entry
        pending = self.waiting_for()
        watch = JobWatch(self.service, pending, rules=self.rules(), memory=self._memory, log=self.log)
        verdict = watch.observe(self.service.fetch_all(self.hook, pending)) or Verdict(Outcome.RUNNING)
        if verdict.outcome in (Outcome.FAILED, Outcome.LOST):
            self.log.info("The %s of the earlier try has ended: %s", self._named(entry), verdict.message)
            self._entry = None
            return None
        self.log.info("Adopting the %s that an earlier try submitted.", self._named(entry))
        return verdict

    def _submit(self, ledger: Ledger, document: dict[str, Any]) -> None:
        from airflow_provider_globus.operators.ledger import Entry

        entry = self._entry
        if entry is None:
            entry = Entry(self.reserve(), self._fingerprint(), ledger.generation, notes=self.notes())
            self._memory = {}
        entry.generation = ledger.generation
        self._entry = entry
        ledger.write(entry)
        while True:
            try:
                entry.job_ids = self.submit(document, entry.key)
            except GlobusConflictError as error:
                self._settle_conflict(document, entry, error)
            except GlobusTaskLimitError as error:
                self._wait_for_room(error)
                continue
            except GlobusSubmissionUnknownError:
                # Only a user can tell what has become of it; one who clears the task wants another.
                ledger.close()
                raise
            except GlobusServiceError as error:
                if not is_transient(error):
                    # Refused for good, so nothing runs under this key, and it may not be good for another try.
                    ledger.close()
                raise
            break
        entry.sent = True
        ledger.write(entry)
        self.log.info("%s the %s.", "Adopted" if entry.adopted else "Submitted", self._named(entry))
        if self._killed.is_set():
            # The kill came while Globus was accepting the job.
            self.on_kill()
            raise GlobusJobFailedError("The task was killed while its job was being submitted; the job is cancelled.")

    def _settle_conflict(self, document: dict[str, Any], entry: Entry, error: GlobusConflictError) -> None:
        """Globus says that the same work is under way: wait for a job of ours to end, or adopt the one there is."""
        deadline = time.time() + _CANCEL_PATIENCE
        while True:
            running, ours = self.find_running(document)
            if not running or set(running) & self._discarded:
                # Our own cancelled job is still ending, or just did.
                if time.time() > deadline or self._killed.wait(2.0):
                    raise error
                try:
                    entry.job_ids = self.submit(document, entry.key)
                except GlobusConflictError as again:
                    error = again
                    continue
                return
            if len(running) > 1:
                raise GlobusConflictError(
                    f"{error.message} Several unfinished ones could be meant: {', '.join(running)}.",
                    advice="Wait for them or cancel them, then run the task again.",
                    status=error.status,
                    code=error.code,
                    request_id=error.request_id,
                )
            entry.job_ids, entry.adopted = running, not ours
            self.log.warning("The same work is under way as %s: waiting for that instead.", self._named(entry))
            return

    def _wait_for_room(self, error: GlobusTaskLimitError) -> None:
        """Globus takes no more jobs of this identity: wait until it does, in the triggerer if we may."""
        self.log.warning("%s Waiting for room.", error.message)
        deadline = self._deadline_of_try()
        if self.deferrable:
            self._defer(self.room_service_name, ["any"], deadline, cancel_on_kill=False)
        watch = JobWatch(job_service(self.room_service_name), ["any"], deadline=deadline, log=self.log)
        pause = self.poll_interval
        verdict = wait(watch, self.hook, poll_interval=pause, first_pause=pause, stop=self._killed)
        if verdict is None or verdict.outcome != Outcome.SUCCEEDED:
            raise error

    def _resume_submission(self, context: Context, verdict: Verdict) -> Any:
        if verdict.outcome != Outcome.SUCCEEDED:
            raise GlobusJobTimeoutError(f"Nothing was submitted: there was no room. {verdict.message}")
        return self.execute(context)

    @cached_property
    def _discarded(self) -> set[str]:
        return set()

    def _discard(self, entry: Entry, why: str) -> None:
        self.log.info("Not taking over the %s: %s.", self._named(entry), why)
        self._discarded.update(entry.job_ids)
        if entry.adopted or entry.ended:
            return
        if not self.service.cancellable:
            self._leave(entry, why)
            return
        for job_id in entry.job_ids:
            self.log.info("Cancelling it: %s", self.service.cancel(self.hook, job_id))

    def _announce(self, context: Context | Mapping[str, Any]) -> None:
        """Let the link and downstream tasks know the job while it runs."""
        ti = context["ti"]
        ti.xcom_push(key="globus_job_ids", value=self._job_ids)
        self.announced = True
        if url := self.url():
            link = self.operator_extra_links[0]
            ti.xcom_push(key=link.xcom_url_key, value=url)
            # Airflow itself stores a link only after the task has ended or deferred.
            ti.xcom_push(key=link.xcom_key, value=url)
            self.log.info("See %s", url)

    # Waiting

    def _wait(self) -> Verdict:
        """Wait in the worker, or start to and defer."""
        deadline = self._deadline_of_try()
        verdict = None
        if self.worker_wait or not self.deferrable:
            verdict = wait(
                JobWatch(
                    self.service,
                    self.waiting_for(),
                    rules=self.rules(),
                    deadline=deadline,
                    memory=self._memory,
                    log=self.log,
                ),
                self.hook,
                poll_interval=self.poll_interval,
                until=time.time() + self.worker_wait if self.deferrable else None,
                first_pause=min(1.0, self.poll_interval),
                stop=self._killed,
            )
        if self._killed.is_set():
            raise GlobusJobFailedError("The task was killed while waiting.", job_id=self._job_ids[0])
        if verdict is None:
            assert self._entry is not None
            cancel = self.cancel_on_kill and not self._entry.adopted
            self._defer(self.service_name, self.waiting_for(), deadline, cancel_on_kill=cancel)
        assert verdict is not None
        return verdict

    def _deadline_of_try(self) -> float | None:
        # Kept over the deferrals of a try, so that the time allowed does not begin anew with each.
        if self._give_up_at is None and self.execution_timeout is not None:
            self._give_up_at = time.time() + self.execution_timeout.total_seconds()
        return self._give_up_at

    def _defer(self, service: str, job_ids: list[str], deadline: float | None, *, cancel_on_kill: bool) -> None:
        from airflow_provider_globus.triggers.job import GlobusJobTrigger

        trigger = GlobusJobTrigger(
            service=service,
            job_ids=job_ids,
            globus_conn_id=self.globus_conn_id,
            poll_interval=self.poll_interval,
            rules=self.rules(),
            deadline=deadline,
            not_before=time.time() + settle_seconds(),
            cancel_on_kill=cancel_on_kill,
            memory=self._memory if service == self.service_name else None,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    # End

    def _finish(self, context: Context, ledger: Ledger, verdict: Verdict) -> Any:
        while self.take(verdict):
            verdict = self._wait()
        return self._conclude(context, ledger, self.reconsider(verdict))

    def _conclude(self, context: Context, ledger: Ledger, verdict: Verdict) -> Any:
        for line in self._last_news(verdict):
            self.log.info("%s: %s", self._named(self._entry), line)
        if verdict.outcome == Outcome.SUCCEEDED:
            self.log.info("The %s succeeded. %s", self._named(self._entry), verdict.progress)
            ledger.end()
            self.tell(context.get("outlet_events"), verdict)
            return self.result(verdict)
        why = [verdict.message, *self._explain(verdict)]
        if verdict.outcome in (Outcome.STUCK, Outcome.INACTIVE, Outcome.TIMEOUT):
            self._cancel(f"it is {verdict.outcome.value}")
        if verdict.outcome != Outcome.LOST and (self.service.cancellable or verdict.outcome != Outcome.TIMEOUT):
            ledger.close()
        raise self.error(verdict, "\n  ".join(why))

    def error(self, verdict: Verdict, why: str) -> GlobusJobError:
        """The error for a job that did not end well."""
        url = self.url()
        ending = (ENDINGS if self.service.cancellable else ENDINGS_RUNNING_ON)[verdict.outcome]
        return JOB_ERRORS[verdict.outcome](
            f"The {self._named(self._entry)} {ending}. {why}",
            advice=f"See {url}" if url else "",
            job_id=self._job_ids[0] if self._job_ids else "",
            code=verdict.code,
        )

    def _last_news(self, verdict: Verdict) -> list[str]:
        if verdict.outcome == Outcome.LOST:
            return []
        try:
            return [
                line for job_id in self._job_ids[:1] for line in self.service.last_news(self.hook, job_id, self._memory)
            ]
        except GlobusError as error:
            return [f"(The rest of its log could not be read: {error})"]

    def _explain(self, verdict: Verdict) -> list[str]:
        if verdict.outcome in (Outcome.LOST, Outcome.TIMEOUT) or not self._job_ids:
            return []
        try:
            return self.service.explain(self.hook, self._job_ids[0])
        except GlobusError as error:
            return [f"(The reasons could not be read: {error})"]

    def _cancel(self, why: str) -> None:
        if self._entry is None or self._entry.adopted:
            return
        if not self.service.cancellable:
            self._leave(self._entry, why)
            return
        for job_id in self._entry.job_ids:
            try:
                answer = self.service.cancel(self.hook, job_id)
            except GlobusError as error:
                self.log.error("%s %s could NOT be cancelled and may go on: %s", self.service.noun, job_id, error)
            else:
                self.log.info("Cancelling %s %s since %s: %s", self.service.noun, job_id, why, answer)

    def _leave(self, entry: Entry, why: str) -> None:
        if entry.job_ids:
            answer = self.service.cancel(self.hook, entry.job_ids[0])
            self.log.warning("Not cancelling the %s although %s. %s", self._named(entry), why, answer)

    def _named(self, entry: Entry | None) -> str:
        return self.service.named(entry.job_ids if entry else [])

"""Works through the steps of a task: looks at what was submitted, finds what is below it, copies and deletes.

`Stepper.run` goes on until nothing is left to try or the task is interrupted; steps that fail wait in `task.retry`.
"""

from __future__ import annotations

import re
from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.paths import join
from airflow_provider_globus.sandbox.transfer.moving import (
    Fault,
    FileCopy,
    Interrupted,
    Pace,
    looks_current,
    side_of,
    stat_or_none,
)
from airflow_provider_globus.sandbox.transfer.tasks import Action, Item, Skipped, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_globus.sandbox.storage import Entry, Storage
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import FilterRule, Task
    from airflow_provider_globus.sandbox.world import World

SKIPPABLE = {"FILE_NOT_FOUND", "PERMISSION_DENIED", "AMBIGUOUS_PATH"}
QUOTA = {"QUOTA_EXCEEDED", "NO_SPACE_LEFT"}
# Sync levels for which no file need be read.
_BY_LISTING = (0, 1, 2)
_ESCAPED = re.compile(r"\\(.)")


class Fatal(Exception):
    """The task cannot go on."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


class Stepper:
    """Does the steps of tasks; holds no state of its own.

    :param may: what the owner of a task may do at a path of a collection: `rw`, `r` or nothing.
    """

    def __init__(self, world: World, pace: Pace, may: Callable[[Task, Collection, str], str]) -> None:
        self._world = world
        self._pace = pace
        self._may = may
        self._do: dict[Action, Callable[[Task, Step], None]] = {
            Action.SCAN: self._scan,
            Action.SCAN_DIR: self._scan_dir,
            Action.MKDIR: self._mkdir,
            Action.COPY: self._copy,
            Action.LINK: self._link,
            Action.REMOVE: self._remove,
        }

    def run(self, task: Task) -> None:
        """Do what can be done now; raises `Interrupted` or `Fatal`."""
        while task.scans or task.work:
            queue = task.scans or task.work  # all looking comes first, so that the totals are known early
            step = queue[0]
            self._pace.check(task)
            try:
                self._do[step.action](task, step)
            except Fault as fault:
                queue.popleft()
                self._failed(task, step, fault)
            else:
                queue.popleft()
                if step.action not in (Action.SCAN, Action.SCAN_DIR):
                    task.steps_succeeded += 1

    def _failed(self, task: Task, step: Step, fault: Fault) -> None:
        """Skip the step, end the task or keep the step for later, as the submission asks."""
        now = self._world.clock.time()
        details = f"{fault.details}\nCollection: {fault.collection.name} ({fault.collection.id})\nPath: {fault.path}"
        description = fault.code.replace("_", " ").lower()
        is_scan = step.action in (Action.SCAN, Action.SCAN_DIR)
        if task.spec.skip_source_errors and fault.side == "source" and fault.code in SKIPPABLE:
            if is_scan:
                task.steps_total += 1
            task.skipped.append(
                Skipped(step.source, step.destination, fault.code, details, now, step.is_dir, step.item)
            )
            return
        task.faults += 1
        task.nice_status, task.nice_details, task.nice_since = fault.code, details, now
        task.log(now, fault.code, description, details, is_error=True)
        missing = task.type == "DELETE" and fault.code == "FILE_NOT_FOUND"
        if missing or (task.spec.fail_on_quota_errors and fault.code in QUOTA):
            task.steps_failed += not is_scan
            raise Fatal(fault.code, description)
        task.retry.append(step)

    def _check(self, task: Task, collection: Collection, path: str, side: str, need: str) -> None:
        """Raise the fault a path of a collection has in store, before anything is tried."""
        if "\r" in path or "\n" in path:
            raise Fault("INVALID_PATH_NAME", "Path contains a line break", collection, path, side)
        if not collection.online:
            raise Fault("GC_NOT_CONNECTED", "Globus Connect Personal is not connected", collection, path, side)
        if need not in self._may(task, collection, path):
            raise Fault("PERMISSION_DENIED", "Path not allowed", collection, path, side)
        injected = self._world.faults.path_fault(collection, path)
        if injected is not None:
            raise Fault(injected.nice_status, injected.details, collection, path, side)

    def _files(self, task: Task, collection: Collection) -> Storage:
        """Return the files of a collection as the owner of a task reaches them."""
        return self._world.transfer.files(collection, task.owner_id)

    def _add(self, task: Task, steps: Iterable[Step]) -> None:
        for step in steps:
            task.steps_total += 1
            task.work.append(step)

    # Looking

    def _scan(self, task: Task, step: Step) -> None:
        if task.type == "DELETE":
            self._scan_delete(task, step)
            return
        source, item = task.spec.source, step.item
        assert item is not None
        self._check(task, source, step.source, "source", "r")
        if item.symlink:
            task.symlinks += 1
            self._add(task, [Step(Action.LINK, step.source, step.destination, item)])
            return
        with side_of(source, step.source, "source"):
            entry = self._files(task, source).stat(step.source)
            if item.recursive is False and entry.is_dir:
                raise StorageError("IS_A_DIRECTORY", "Is a directory, and 'recursive' is false")
            if item.recursive and not entry.is_dir:
                raise StorageError("NOT_A_DIRECTORY", "Not a directory, and 'recursive' is true")
            if entry.kind == "invalid_symlink":
                raise StorageError("INVALID_SYMLINK", "The link leads nowhere")
        if entry.is_dir:
            task.scans.append(Step(Action.SCAN_DIR, step.source, step.destination, item, is_dir=True))
        else:
            task.files += 1
            self._add(task, [Step(Action.COPY, step.source, step.destination, item)])

    def _scan_dir(self, task: Task, step: Step) -> None:
        """Plan a directory: everything that can fail comes before anything is planned, so it can be repeated."""
        source, seen = task.spec.source, step.seen
        self._check(task, source, step.source, "source", "r")
        with side_of(source, step.source, "source"):
            entries = sorted(self._files(task, source).list(step.source), key=lambda entry: entry.name)
            if task.spec.recursive_symlinks == "copy":
                seen = (*seen, self._files(task, source).identity(step.source))
                if seen[-1] in step.seen:
                    raise StorageError("INVALID_SYMLINK", "The link leads in a circle")
        extra = self._extra(task, step, {entry.name: entry for entry in entries})
        there = self._there(task, step)
        task.directories += 1
        self._add(task, [Step(Action.MKDIR, step.source, step.destination, step.item, is_dir=True), *extra])
        for entry in entries:
            self._plan_entry(task, step, entry, seen, there.get(entry.name))

    def _plan_entry(self, task: Task, step: Step, entry: Entry, seen: tuple[str, ...], present: Entry | None) -> None:
        mode = task.spec.recursive_symlinks
        if entry.link is not None and mode == "ignore":
            return
        is_link = entry.link is not None and mode == "keep"
        kind = "symlink" if is_link else ("dir" if entry.is_dir else "file")
        if not _included(task.spec.filter_rules or (), entry.name, kind):
            return
        source, destination = join(step.source, entry.name), join(step.destination, entry.name)
        if is_link:
            task.symlinks += 1
            self._add(task, [Step(Action.LINK, source, destination)])
        elif entry.is_dir:
            task.scans.append(Step(Action.SCAN_DIR, source, destination, is_dir=True, seen=seen))
        else:
            task.files += 1
            copy = Step(Action.COPY, source, destination)
            if present is not None and self._is_current(task, copy, entry, present):
                task.files_skipped += 1
                task.steps_total += 1
                task.steps_succeeded += 1
            else:
                self._add(task, [copy])

    def _there(self, task: Task, step: Step) -> dict[str, Entry]:
        """Return the files that are in the way of a directory that is synced: one listing, not a look at each."""
        destination = task.spec.destination
        if destination is None or task.spec.sync_level not in _BY_LISTING:
            return {}
        with side_of(destination, step.destination, "destination"):
            entries = _entries(self._files(task, destination), step.destination)
        return {entry.name: entry for entry in entries if entry.kind == "file"}

    def _is_current(self, task: Task, step: Step, entry: Entry, present: Entry) -> bool:
        assert task.spec.destination is not None
        assert task.spec.sync_level is not None
        try:
            self._check(task, task.spec.source, step.source, "source", "r")
            self._check(task, task.spec.destination, step.destination, "destination", "w")
        except Fault:
            return False  # the copy will tell of it
        return looks_current(entry, present, task.spec.sync_level)

    def _extra(self, task: Task, step: Step, present: dict[str, Entry]) -> list[Step]:
        """Return the removals of what the destination has and the source has not, or has as another kind."""
        destination = task.spec.destination
        if not task.spec.delete_destination_extra or destination is None:
            return []
        found: list[Step] = []
        with side_of(destination, step.destination, "destination"):
            if stat_or_none(self._files(task, destination), step.destination) is None:
                return []
            for entry in self._files(task, destination).list(step.destination):
                ours = present.get(entry.name)
                if ours is None or ours.is_dir != entry.is_dir:
                    path = join(step.destination, entry.name)
                    found += reversed(list(self._tree(task, destination, path, entry)))
        return found

    def _scan_delete(self, task: Task, step: Step) -> None:
        collection = task.spec.source
        self._check(task, collection, step.source, "source", "w")
        if step.source == "/":
            raise Fault("PERMISSION_DENIED", "The root of a collection cannot be deleted", collection, "/", "source")
        with side_of(collection, step.source, "source"):
            paths = (
                self._globbed(self._files(task, collection), step.source)
                if task.spec.interpret_globs
                else [step.source]
            )
            found = [removal for path in paths for removal in self._removals(task, collection, path)]
        task.files += sum(not removal.is_dir for removal in found)
        task.directories += sum(removal.is_dir for removal in found)
        self._add(task, found)

    def _removals(self, task: Task, collection: Collection, path: str) -> list[Step]:
        """Return what has to go for one path of a delete task, children first."""
        entry = stat_or_none(self._files(task, collection), path)
        if entry is None:
            if task.spec.ignore_missing:
                return []
            raise StorageError("FILE_NOT_FOUND", "No such file or directory")
        if not entry.is_dir or entry.link is not None or task.spec.recursive:
            return list(self._tree(task, collection, path, entry))[::-1]
        if any(True for _ in self._files(task, collection).list(path)):
            raise StorageError("IS_A_DIRECTORY", "Is a directory that is not empty: use 'recursive'")
        return [Step(Action.REMOVE, path, path, is_dir=True)]

    def _tree(self, task: Task, collection: Collection, path: str, entry: Entry) -> Iterable[Step]:
        """Yield the removals of an entry and all below it, parents first; links are not followed."""
        waiting = deque([(path, entry)])
        while waiting:
            self._pace.check(task)
            path, entry = waiting.pop()
            is_dir = entry.is_dir and entry.link is None
            yield Step(Action.REMOVE, path, path, is_dir=is_dir)
            if is_dir:
                waiting.extend((join(path, child.name), child) for child in self._files(task, collection).list(path))

    def _globbed(self, files: Storage, path: str) -> list[str]:
        """Return the paths meant by a pattern in the last part of a path; one that matches nothing stays as it is."""
        directory, _, last = path.rpartition("/")
        if not _is_pattern(last):
            return [join(directory or "/", _ESCAPED.sub(r"\1", last))]
        names = [entry.name for entry in _entries(files, directory or "/") if _matches(entry.name, last)]
        return [join(directory or "/", name) for name in sorted(names)] or [path]

    # Doing

    def _mkdir(self, task: Task, step: Step) -> None:
        destination = task.spec.destination
        assert destination is not None
        self._check(task, destination, step.destination, "destination", "w")
        with side_of(destination, step.destination, "destination"):
            self._files(task, destination).make_parents(step.destination)

    def _copy(self, task: Task, step: Step) -> None:
        assert task.spec.destination is not None
        self._check(task, task.spec.source, step.source, "source", "r")
        self._check(task, task.spec.destination, step.destination, "destination", "w")
        with side_of(task.spec.source, step.source, "source"):
            source = self._files(task, task.spec.source)
        with side_of(task.spec.destination, step.destination, "destination"):
            destination = self._files(task, task.spec.destination)
        FileCopy(task, step, self._pace, source, destination).run()

    def _link(self, task: Task, step: Step) -> None:
        destination = task.spec.destination
        assert destination is not None
        self._check(task, destination, step.destination, "destination", "w")
        with side_of(task.spec.source, step.source, "source"):
            link = self._files(task, task.spec.source).stat(step.source).link
            if link is None:
                raise StorageError("NOT_A_SYMLINK", "Not a symbolic link")
        with side_of(destination, step.destination, "destination"):
            self._files(task, destination).make_link(step.destination, link.target)

    def _remove(self, task: Task, step: Step) -> None:
        collection = task.spec.destination or task.spec.source
        side = "destination" if task.spec.destination else "source"
        self._check(task, collection, step.source, side, "w")
        with side_of(collection, step.source, side):
            try:
                if step.is_dir:
                    self._files(task, collection).remove_dir(step.source)
                else:
                    self._files(task, collection).remove_file(step.source)
            except StorageError as error:
                if error.code != "FILE_NOT_FOUND":  # gone already: what was wanted
                    raise


def _entries(files: Storage, path: str) -> list[Entry]:
    entry = stat_or_none(files, path)
    return list(files.list(path)) if entry is not None and entry.is_dir else []


def first_steps(items: Iterable[Item]) -> deque[Step]:
    """Return the steps a task begins with."""
    return deque(Step(Action.SCAN, item.source, item.destination, item) for item in items)


def _is_pattern(name: str) -> bool:
    return any(character in _ESCAPED.sub("", name) for character in "*?[")


def _matches(name: str, pattern: str) -> bool:
    """Match as a shell does: hidden names only where the pattern begins with a dot, and a backslash escapes."""
    literal = _ESCAPED.sub(lambda found: f"[{found[1]}]" if found[1] in "*?[" else found[1], pattern)
    return fnmatchcase(name, literal) and (pattern.startswith(".") or not name.startswith("."))


def _included(rules: Iterable[FilterRule], name: str, kind: str) -> bool:
    """Apply filter rules in order: the first that matches decides, without one the entry is included."""
    for rule in rules:
        if rule.type in (None, kind) and fnmatchcase(name, rule.name):
            return rule.method == "include"
    return True


__all__ = ["Fatal", "Interrupted", "Stepper", "first_steps"]

"""A reader who follows a page in one terminal: a bash whose jobs go on in the background, as at a desk."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from airflow_provider_globus.sandbox.processes import Reaper, kill_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.docs.blocks import Block

#: Longer than any block may take; what hangs is to fail.
TIMEOUT_SECONDS = 180.0

# One shell for all blocks, with job control as at a prompt. Each block is a file that the shell sources, so that no
# command can read the blocks that follow; a line in `done` tells that it has ended. The trap notes a command that fails
# in the middle of a block; of the blocks before nothing is left but what they leave to any shell.
_SHELL = """
set -m
exec 3<&0 </dev/null
while read -r -u 3 __block; do
    __status=0
    trap '__status=$?' ERR
    . "$__block" > "$__block.out" 2>&1
    trap - ERR
    { echo "$__status"; pwd; } > "$__block.tmp"
    mv "$__block.tmp" "$__block.done"
done
"""

# What differs from machine to machine, or from run to run.
_VARIABLE = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<sandbox>"),
    (re.compile(r"\b\d+(\.\d+)? ?s\b( \(\d:\d\d:\d\d\))?"), "<seconds>"),
    (re.compile(r"\b\d+\.\d+\.\d+\S*"), "<version>"),
    (re.compile(r"[\d.]+ [kM]?B/s"), "<rate>"),
    (re.compile(r" +"), " "),
)


@dataclass(frozen=True)
class Ended:
    """What the reader has seen of a block."""

    block: Block
    status: int
    output: str
    seconds: float


class Reader:
    """Follows blocks; a context manager that leaves no process behind.

    :param folder: the empty directory to begin in.
    :param notes: a folder for what the reader does not see.
    :param env: the whole environment of the terminal.
    """

    def __init__(self, folder: Path, notes: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.seen: list[Ended] = []
        self._notes = notes
        self._env = dict(env)

    def __enter__(self) -> Self:
        self._reaper = Reaper()
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", _SHELL],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reaper.watch(self._shell.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kill_session(self._shell.pid)
        self._shell.wait()
        self._reaper.forget(self._shell.pid)
        self._reaper.close()

    def follow(self, block: Block) -> Ended:
        """Write the block's file, or type its commands and wait for their end."""
        begun = time.monotonic()
        if block.file is not None:
            file = self.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
            status, output = 0, ""
        else:
            assert block.language == "bash", f"{block.where}: a block is a file of the reader's, bash, or output"
            status, output = self._type(block)
        ended = Ended(block, status, output, time.monotonic() - begun)
        self.seen.append(ended)
        return ended

    def _type(self, block: Block) -> tuple[int, str]:
        file = self._notes / f"line_{block.line}.sh"
        file.write_text(block.text)
        done, out = file.with_suffix(".sh.done"), file.with_suffix(".sh.out")
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{shlex.quote(str(file))}\n")
        self._shell.stdin.flush()
        wait_for(f"the end of the block at {block.where}", done.exists, lambda: out.read_text())
        status, folder = done.read_text().splitlines()
        self.folder = self.folder.__class__(folder)
        return int(status), out.read_text()


def wait_for(what: str, check: Callable[[], object], shown: Callable[[], str]) -> None:
    """Wait until something is so; else fail and show what there is to see."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while not check():
        if time.monotonic() > until:
            raise AssertionError(f"Waited {TIMEOUT_SECONDS:.0f} s for {what}:\n{shown()}")
        time.sleep(0.1)


def not_shown(promised: str, output: str) -> list[str]:
    """Lines of a block of output that do not appear, in its order; `…` stands for lines that were left out."""
    lines = iter([steady(line) for line in output.splitlines()])
    wanted = [line for line in promised.splitlines() if line.strip() != "…"]
    return [line for line in wanted if steady(line) not in lines]


def steady(text: str) -> str:
    """A line without what differs from run to run."""
    for pattern, stand_in in _VARIABLE:
        text = pattern.sub(stand_in, text)
    return text.strip()

"""Looking whether Globus has accepted a request whose answer was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading

_Found = TypeVar("_Found")

#: Seconds before each look; the service may still be busy accepting.
LOOKS = (1.0, 3.0, 6.0)


def look_for(
    find: Callable[[], _Found | None], *, stop: threading.Event, killed: Exception, at_once: bool = False
) -> _Found | None:
    """
    Look for what a request may have made, for some ten seconds.

    :param find: looks once; what is false counts as not found.
    :param stop: set when the task is killed: nothing is looked for any more.
    :param killed: raised then.
    :param at_once: take a look before the first pause, too.
    :return: what was found first, if anything was.
    """
    for pause in (0.0, *LOOKS) if at_once else LOOKS:
        if stop.wait(pause):
            raise killed
        if found := find():
            return found
    return None

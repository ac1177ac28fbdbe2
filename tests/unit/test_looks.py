"""How often it is looked for what a request may have made, and that a kill ends it."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_globus import looks


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOKS", (0.0, 0.0, 0.0))


class Killed(Exception):
    """What the caller wants raised."""


class Looker:
    """Finds what there is to find at the n-th look."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.looks = at, 0

    def __call__(self) -> list[str]:
        self.looks += 1
        return ["found"] if self.looks == self.at else []


def look_for(find: Looker, *, stop: threading.Event | None = None, at_once: bool = False) -> list[str] | None:
    return looks.look_for(find, stop=stop or threading.Event(), killed=Killed(), at_once=at_once)


@pytest.mark.parametrize(("at_once", "most"), [(False, 3), (True, 4)])
def test_it_looks_until_it_has_found(at_once: bool, most: int) -> None:
    for at in range(1, most + 1):
        looker = Looker(at)
        assert look_for(looker, at_once=at_once) == ["found"]
        assert looker.looks == at
    nothing = Looker()
    assert look_for(nothing, at_once=at_once) is None
    assert nothing.looks == most


@pytest.mark.parametrize("at_once", [False, True])
def test_a_kill_before_the_first_look_ends_it(at_once: bool) -> None:
    stop, looker = threading.Event(), Looker(1)
    stop.set()
    with pytest.raises(Killed):
        look_for(looker, stop=stop, at_once=at_once)
    assert looker.looks == 0


def test_a_kill_between_two_looks_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    # Nobody waits for the second pause to be over.
    monkeypatch.setattr(looks, "LOOKS", (0.0, 3600.0))
    with pytest.raises(Killed):
        looks.look_for(stop.set, stop=stop, killed=Killed())

"""Docstrings in reST, taken apart: prose, ``:param:`` fields, and what follows them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sphinx.util.docstrings import prepare_docstring

_FIELD = re.compile(r":(?P<kind>param|ivar|return|returns|raises)(?:\s+(?P<name>[^:]+))?:\s*(?P<text>.*)")


@dataclass
class Docstring:
    """
    A docstring.

    :param intro: prose before the first field.
    :param params: text by parameter.
    :param raises: text by exception.
    :param returns: what is returned.
    :param notes: prose after the fields.
    """

    intro: str = ""
    params: dict[str, str] = field(default_factory=dict)
    raises: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    notes: str = ""

    @property
    def first_sentence(self) -> str:
        """The first sentence of the prose, on one line."""
        paragraph = " ".join(self.intro.split("\n\n")[0].split())
        found = re.match(r".*?\.(?=\s|$)", paragraph)
        return found.group() if found else paragraph


def read(text: str | None) -> Docstring:
    """Take a docstring apart."""
    parsed, intro, notes = Docstring(), list[str](), list[str]()
    prose: list[str] = intro
    current: tuple[str, str, list[str]] | None = None
    for line in prepare_docstring(text or ""):
        if found := _FIELD.match(line):
            _keep(parsed, current)
            current = found["kind"], (found["name"] or "").strip(), [found["text"]]
            prose = notes
        elif current is not None and (line.startswith(" ") or not line.strip()):
            current[2].append(line)
        else:
            _keep(parsed, current)
            current = None
            prose.append(line)
    _keep(parsed, current)
    parsed.intro, parsed.notes = "\n".join(intro).strip(), "\n".join(notes).strip()
    return parsed


def _keep(parsed: Docstring, current: tuple[str, str, list[str]] | None) -> None:
    if current is None:
        return
    kind, name, lines = current
    text = "\n".join(prepare_docstring("\n".join(lines), tabsize=4)).strip()
    if kind == "param":
        parsed.params[name] = text
    elif kind == "raises":
        parsed.raises[name] = text
    elif kind in ("return", "returns"):
        parsed.returns = text

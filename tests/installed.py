"""What tests need beside this project may be missing on a machine: then they are skipped, unless it is demanded."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str, demanded_by: str) -> NoReturn:
    """Skip the test for something that is not installed, or fail it.

    :param what: what is missing, and how to install it.
    :param demanded_by: environment variable that makes it a failure when it is ``required``.
    """
    if os.environ.get(demanded_by) == "required":
        pytest.fail(what)
    pytest.skip(what)

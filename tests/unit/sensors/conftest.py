from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_globus.hooks.credentials import forget_credentials


@pytest.fixture(autouse=True)
def _fresh_tokens() -> Iterator[None]:
    forget_credentials()
    yield
    forget_credentials()

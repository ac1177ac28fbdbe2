"""A sandbox without a broker has no use for a client of it."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
from airflow_provider_globus.sandbox.server import GlobusSandbox
with GlobusSandbox() as sandbox:
    sandbox.add_compute_endpoint("hpc")
print(sorted(name for name in sys.modules if name.partition(".")[0] in {"pika", "psutil", "globus_compute_common"}))
"""


def test_nothing_of_it_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

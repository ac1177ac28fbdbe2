"""Marks answers whose shape or code no recording or document confirms."""

from __future__ import annotations

PROVISIONAL = {"X-Sandbox-Provisional": "1"}

"""How functions and their arguments travel to Globus Compute, and how results come back."""

from __future__ import annotations

#: How results may come back; see ``payloads.ResultSerializer``.
RESULT_SERIALIZERS = ("json", "dill")

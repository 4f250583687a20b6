"""The type of JSON objects: what is written to metrics.json and to checkpoints."""

from __future__ import annotations

from typing import Any

# Values are None, bool, int, float, str, and lists and dicts of these.
JsonObject = dict[str, Any]

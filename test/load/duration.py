"""Times as the service's settings write them: 50s, 1m30s, 250ms."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = r"[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s)"


def seconds(text: str) -> float:
    """The time in seconds. ValueError if it is none."""
    if not re.fullmatch(f"(?:{_PART})+", text):
        raise ValueError(f"{text!r} is no time such as 50s or 1m30s")
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

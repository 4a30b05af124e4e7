"""What Schemathesis is to know of the service beyond what clients are generated from."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Let the service take what it also accepts: JSON numbers where clients send strings."""
    _widen(raw_schema)


def _widen(part: Any) -> None:
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _widen(inner)
    if isinstance(part, dict) and "x-also-accepted" in part:
        alternative = part.pop("x-also-accepted")
        schema = dict(part)
        part.clear()
        part["anyOf"] = [schema, alternative]

"""The settings of a run, which are variables, as `make load USERS=200` passes them."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from duration import seconds


class BadSetting(Exception):
    pass


@dataclass(frozen=True)
class Settings:
    users: int
    spawn: int  # users a second
    duration: str
    host: str | None  # None for a service of our own
    processing_time: str
    lag: str  # how far list and metrics may be behind
    results: Path | None  # the folder to record the figures in


def from_environment(variables: Mapping[str, str]) -> Settings:
    """Read the settings; an empty one has its default."""

    def value(name: str, default: str) -> str:
        return variables.get(name) or default

    def number(name: str, default: str) -> int:
        text = value(name, default)
        if not text.isdecimal() or int(text) == 0:
            raise BadSetting(f"{name} must be a number, such as {default}, not {text!r}")
        return int(text)

    try:
        settings = Settings(
            users=number("USERS", "1000"),
            spawn=number("SPAWN", "100"),
            duration=value("DURATION", "5m"),
            host=value("HOST", "") or None,
            processing_time=value("PROCESSING_TIME", "50s"),
            lag=value("LAG", "0s"),
            results=Path(folder) if (folder := value("RESULTS", "")) else None,
        )
        for time in (settings.duration, settings.processing_time, settings.lag):
            seconds(time)
    except ValueError as err:
        raise BadSetting(str(err)) from err
    return settings


def require_open_files(users: int) -> None:
    """Every user holds a connection, in Locust and in the service, and both inherit our limit."""
    needed = users + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except ValueError:
            raise BadSetting(
                f"{users} users need {needed} open files, and the limit is {soft} (ulimit -n), "
                f"of at most {hard}: raise it, or set USERS to fewer"
            ) from None

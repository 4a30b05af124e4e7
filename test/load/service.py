"""A service of our own: bin/orders on a fresh file, on a free port."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARY = Path("bin/orders")


class ServiceFailed(Exception):
    pass


@contextmanager
def running(database: Path, processing_time: str) -> Iterator[str]:
    """The address of a service, which is stopped afterwards by SIGTERM and must end well."""
    command: list[str | Path] = [
        BINARY,
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--db",
        database,
        "--processing-time",
        processing_time,
    ]
    # In a session of its own, or Ctrl-C would end it before the accounts are settled.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()
    if process.returncode != 0:
        raise ServiceFailed(f"the service ended with exit code {process.returncode}")


def _address(process: subprocess.Popen[str]) -> str:
    """What it prints as soon as it listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r"http://\S+", line)
    if address is None:
        raise ServiceFailed(f"the service did not start: {line!r}")
    return address[0]


def findings(database: Path) -> list[str]:
    """What `orders check` has to say against the file of a service that has stopped."""
    check = subprocess.run([BINARY, "check", "--db", database], capture_output=True, text=True)
    if check.returncode == 0:
        return []
    return (check.stdout + check.stderr).splitlines()

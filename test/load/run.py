"""Puts load on the service and settles the accounts afterwards: make load, make load-ui.

It starts a service of its own on a fresh file, or takes the one at HOST, lets Locust play
the customers, waits until every order is done, and reads the whole store. The exit code
is 0 only when no answer was wrong and the accounts are right to the last order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import audit
import contract
import ledger
import report
import service
import settings
from duration import seconds
from settings import Settings
from store import Store

HERE = Path(__file__).parent
SLACK = 1000  # milliseconds that an order's completion may be late
PATIENCE = 30  # seconds for the last orders, beyond the processing time


class NothingPlayed(Exception):
    pass


def main() -> int:
    with_page = sys.argv[1:] == ["ui"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what it started ends, too
    try:
        chosen = settings.from_environment(os.environ)
        settings.require_open_files(chosen.users)
        with tempfile.TemporaryDirectory(prefix="orders-load-") as folder:
            return run(chosen, with_page, Path(folder))
    except (settings.BadSetting, service.ServiceFailed, NothingPlayed, contract.Wrong, OSError) as err:
        print(f"load: {err}", file=sys.stderr)
        return 1


def run(chosen: Settings, with_page: bool, folder: Path) -> int:
    database = folder / "orders.db"
    home = nullcontext(chosen.host) if chosen.host else service.running(database, chosen.processing_time)
    with home as host:
        store = Store(host)
        fresh = store.metrics()["total_orders"] == 0
        where = "set on http://127.0.0.1:8089" if with_page else f"{chosen.users} users for {chosen.duration}"
        print(f"load: {host}, {where}", flush=True)
        totals = play(chosen, with_page, host, folder)
        print("load: waiting for the last orders, then reading the whole store", flush=True)
        found = settle(chosen, store, fresh, ledger.read(folder / "ledger"))
    checks = report.checks(totals, found)
    if not chosen.host:
        checks.append(report.Check("orders check finds nothing in the file", service.findings(database)))
    print(report.summary(totals, found), *checks, sep="\n")
    if chosen.results:
        keep(chosen.results, chosen, report.record(totals, found))
    return int(any(check.faults for check in checks))


def play(chosen: Settings, with_page: bool, host: str, folder: Path) -> dict[str, Any]:
    """Let Locust play the customers; returns its figures."""
    totals = folder / "totals"
    headless = ("--headless", "--only-summary", "--run-time", chosen.duration)
    command = [
        *(sys.executable, "-B", "-m", "locust", "--locustfile", HERE / "locustfile.py", "--host", host),
        *("--users", chosen.users, "--spawn-rate", chosen.spawn, "--stop-timeout", "30"),
        *("--processing-time", chosen.processing_time, "--lag", chosen.lag),
        *("--ledger", folder / "ledger", "--totals", totals, "--html", HERE / "report.html"),
        *(("--web-host", "127.0.0.1") if with_page else headless),
    ]
    with interrupts_left_to_locust():
        subprocess.run([str(part) for part in command])
    if not totals.exists():
        raise NothingPlayed("Locust ended before a test did")
    return json.loads(totals.read_text())


@contextmanager
def interrupts_left_to_locust() -> Iterator[None]:
    """Ctrl-C ends Locust, and then the accounts are settled."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def settle(chosen: Settings, store: Store, fresh: bool, accounts: ledger.Accounts) -> audit.Audit:
    processing_time, lag = seconds(chosen.processing_time), seconds(chosen.lag)
    store.await_completion(len(accounts.orders), processing_time + lag + PATIENCE)
    rules = audit.Rules(round(processing_time * 1000), SLACK + round(lag * 1000), fresh)
    return audit.settle(store, accounts, rules)


def keep(folder: Path, chosen: Settings, figures: dict[str, Any]) -> None:
    """Record the figures in the folder's load.json."""
    folder.mkdir(parents=True, exist_ok=True)
    run_as = {
        "date": date.today().isoformat(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "users": chosen.users,
        "spawn": chosen.spawn,
    }
    (folder / "load.json").write_text(json.dumps(run_as | figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

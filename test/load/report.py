"""Says how a run went: a few lines for people, a file for the record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audit import Audit

SHOWN = 5  # examples of what is wrong


@dataclass(frozen=True)
class Check:
    """A promise, and what breaks it; or why it could not be looked at."""

    promise: str
    faults: Collection[str] = ()
    skipped: str = ""

    def __str__(self) -> str:
        if self.skipped:
            return f"skipped {self.promise}: {self.skipped}"
        if not self.faults:
            return f"ok      {self.promise}"
        lines = [f"FAILED  {self.promise}, but:", *islice(self.faults, SHOWN)]
        if len(self.faults) > SHOWN:
            lines.append(f"and {len(self.faults) - SHOWN} more")
        return "\n          ".join(lines)


def checks(totals: dict[str, Any], audit: Audit) -> list[Check]:
    rules = audit.rules
    least, most = rules.processing_time / 1000, (rules.processing_time + rules.slack) / 1000
    return [
        Check("every answer was right", totals["errors"]),
        Check("every order that was acknowledged is there", audit.lost),
        Check("no order is there twice", audit.twice),
        Check("every order says what was sent", audit.altered),
        Check("every order is Completed", audit.unfinished),
        Check(f"none was Completed sooner than {least:g} s after its start", audit.early),
        Check(f"none was Completed later than {most:g} s after its creation", audit.late),
        _no_strangers(audit),
        _metrics(audit),
    ]


def _no_strangers(audit: Audit) -> Check:
    promise = "there is no order that nobody sent"
    if not audit.rules.fresh:
        return Check(promise, skipped="the store was not empty before")
    return Check(promise, audit.strangers)


def _metrics(audit: Audit) -> Check:
    promise = "metrics equal the recount of all orders"
    if audit.metrics_are is None:
        return Check(promise, skipped="others were at work meanwhile")
    if audit.metrics_are != audit.recount:
        return Check(promise, [f"metrics {audit.metrics_are}, recount {audit.recount}"])
    return Check(promise)


def summary(totals: dict[str, Any], audit: Audit) -> str:
    accounts, stored = audit.accounts, audit.recount["total_orders"]
    return (
        "requests  {requests}, {failures} failed, {per_second:.0f} a second; "
        "p50 {p50_ms:.0f}, p95 {p95_ms:.0f}, p99 {p99_ms:.0f}, max {max_ms:.0f} ms\n"
    ).format(**totals) + (
        f"orders    {len(accounts.orders)} acknowledged, {len(accounts.unanswered)} cut off, {stored} in the store; "
        f"the longest life was {audit.longest_life / 1000:g} s"
    )


def record(totals: dict[str, Any], audit: Audit) -> dict[str, Any]:
    """The figures, without the settings of the run."""
    figures = {name: value for name, value in totals.items() if name != "errors"}
    return figures | {
        "orders": len(audit.accounts.orders),
        "lost": len(audit.lost),
        "twice": len(audit.twice),
        "late": len(audit.late),
        "metrics_equal_recount": audit.metrics_are and audit.metrics_are == audit.recount,
        "longest_life_seconds": audit.longest_life / 1000,
        "processing_time_seconds": audit.rules.processing_time / 1000,
    }

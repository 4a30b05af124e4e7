"""Settles the accounts after a run: what was promised to customers, against all that the store has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import contract
from contract import Doc
from ledger import Accounts
from order import Draft
from store import Store


@dataclass(frozen=True)
class Rules:
    """What a store is held to. Times are in milliseconds."""

    processing_time: int
    slack: int  # for an order's life beyond the processing time
    fresh: bool  # the store was empty before, so every order must be a customer's


@dataclass
class Audit:
    """What was found. Lists are of ids."""

    accounts: Accounts
    rules: Rules
    unclaimed: list[Draft]  # sent without an answer, and not yet found in the store
    lost: set[str] = field(default_factory=set)
    twice: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    longest_life: int = 0  # of the customers' orders, in milliseconds
    metrics_are: Doc | None = None  # None when others were at work meanwhile
    recount: Doc = field(default_factory=dict)

    def judge(self, order_id: str, doc: Doc) -> None:
        """Hold an order to what its customer sent."""
        draft = self.accounts.orders.get(order_id)
        if draft is None:
            if self.rules.fresh and not self._unanswered(doc):
                self.strangers.append(order_id)
            return
        if not draft.agrees_with(doc):
            self.altered.append(order_id)
        if doc["status"] != contract.COMPLETED:
            self.unfinished.append(order_id)
        else:
            self._judge_times(order_id, draft, contract.times(doc))

    def _judge_times(self, order_id: str, draft: Draft, times: list[int]) -> None:
        if (len(times) == 1) != (draft.status == contract.COMPLETED):
            self.altered.append(order_id)
        elif len(times) > 1:
            created, started, completed = times
            self.longest_life = max(self.longest_life, completed - created)
            if completed - started < self.rules.processing_time:
                self.early.append(order_id)
            if completed - created > self.rules.processing_time + self.rules.slack:
                self.late.append(order_id)

    def _unanswered(self, doc: Doc) -> bool:
        """Whether the order is one that a customer sent and got no answer to."""
        for draft in self.unclaimed:
            if draft.agrees_with(doc):
                self.unclaimed.remove(draft)
                return True
        return False


@dataclass
class Recount:
    """The metrics, counted again from whole orders."""

    statuses: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    milliseconds: int = 0

    def add(self, doc: Doc) -> None:
        self.statuses[doc["status"]] += 1
        if doc["completed_at"] is not None:
            created, _, completed = contract.times(doc)
            self.timed += 1
            self.milliseconds += completed - created

    def metrics(self) -> Doc:
        return {
            "total_orders": self.statuses.total(),
            "avg_process_time": self.milliseconds / self.timed / 1000 if self.timed else 0,
            "status_counts": {status: self.statuses[status] for status in contract.STATUSES},
        }


def settle(store: Store, accounts: Accounts, rules: Rules) -> Audit:
    """Read the whole store and compare."""
    audit, recount = Audit(accounts, rules, unclaimed=list(accounts.unanswered)), Recount()
    before = store.metrics()
    listed = Counter(store.ids())
    audit.twice = accounts.answered_twice + [order_id for order_id, n in listed.items() if n > 1]
    audit.lost = accounts.orders.keys() - listed.keys()
    for order_id, doc in store.orders(listed.keys() | accounts.orders.keys()):
        if doc is None:
            audit.lost.add(order_id)
        else:
            audit.judge(order_id, doc)
            recount.add(doc)
    audit.recount, after = recount.metrics(), store.metrics()
    audit.metrics_are = after if rules.fresh or before == after else None
    return audit

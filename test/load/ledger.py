"""The ledger of a run: every order that a customer sent, and the id that it got.

It is a file with a line of JSON an order, because the customers' process must stay small
and is not the one that settles the accounts.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from order import Draft


class Ledger:
    """Writes the ledger. A line is in the file when add returns."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "a", buffering=1, encoding="utf-8")

    def add(self, draft: Draft, order_id: str | None) -> None:
        """Note an order; without an id when no good answer came, and it may or may not be there."""
        self._file.write(json.dumps({"id": order_id, "draft": asdict(draft)}) + "\n")


@dataclass
class Accounts:
    """What a ledger says."""

    orders: dict[str, Draft] = field(default_factory=dict)
    answered_twice: list[str] = field(default_factory=list)  # ids that two orders got
    unanswered: list[Draft] = field(default_factory=list)


def read(path: Path) -> Accounts:
    accounts = Accounts()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            draft = Draft(**row["draft"] | {"item_ids": tuple(row["draft"]["item_ids"])})
            order_id: str | None = row["id"]
            if order_id is None:
                accounts.unanswered.append(draft)
            elif order_id in accounts.orders:
                accounts.answered_twice.append(order_id)
            else:
                accounts.orders[order_id] = draft
    return accounts

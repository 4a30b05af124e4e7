"""An order as its customer knows it: the request, and the last status that was read."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Any

from contract import COMPLETED, PENDING, STATUSES, require

MAX_ITEMS = 5
MAX_CENTS = 500_000


@dataclass(frozen=True, slots=True)
class Draft:
    """The content of a request, with numbers written as the service responds."""

    user_id: str
    item_ids: tuple[str, ...]
    total_amount: str
    client_reference: str  # "" for none
    status: str
    key: str  # "" for none

    def body(self) -> dict[str, Any]:
        """The request, with numbers where a number may stand."""
        body = {
            "user_id": int(self.user_id),
            "item_ids": [int(item) for item in self.item_ids],
            "total_amount": float(self.total_amount),
        }
        if not self.client_reference:
            return body  # the status is Pending then, which is the default
        return body | {"order_id": self.client_reference, "status": self.status}

    def agrees_with(self, doc: dict[str, Any]) -> bool:
        """Whether a whole order has the content of the request."""
        got = (doc["user_id"], doc["item_ids"], doc["total_amount"], doc["client_reference"] or "")
        return got == (self.user_id, list(self.item_ids), self.total_amount, self.client_reference)


def new_draft(status: str = PENDING, *, with_reference: bool, with_key: bool = False) -> Draft:
    """A random order."""
    cents = random.randint(1, MAX_CENTS)
    return Draft(
        user_id=str(random.randint(1, 1000)),
        item_ids=tuple(str(random.randint(1, 1000)) for _ in range(random.randint(1, MAX_ITEMS))),
        total_amount=f"{cents // 100}.{cents % 100:02d}",
        client_reference=f"userTest{random.randint(1, 1_000_000)}" if with_reference else "",
        status=status,
        key=str(uuid.uuid4()) if with_key else "",
    )


@dataclass(slots=True)
class Order:
    """An order that was acknowledged. Times are on the monotonic clock, in seconds."""

    id: str
    draft: Draft
    sent: float
    acknowledged: float
    status: str

    @property
    def completed(self) -> bool:
        return self.status == COMPLETED

    def see(self, status: str, now: float, processing_time: float) -> None:
        """Note a status that was read."""
        rank = STATUSES.index
        require(rank(status) >= rank(self.status), "a status never goes back")
        if status == COMPLETED and not self.completed:
            require(now - self.sent >= processing_time, "no order is Completed before its time")
        self.status = status

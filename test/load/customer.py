"""How a customer calls the service: each answer is held to the contract, each order is noted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import contract
from ledger import Ledger
from locust import User, between
from order import Draft, Order


class Customer(User):
    """What the kinds of customers have in common, whichever HTTP client they use."""

    abstract = True
    client: Any  # FastHttpSession or HttpSession
    wait_time = between(1, 2)  # seconds; 1,000 users make 700 requests a second of it

    remembered = 100  # orders: enough to follow each to its end, and bounded in long runs

    ledger: Ledger
    processing_time: float  # seconds
    lag: float  # seconds that the list may be behind

    def on_start(self) -> None:
        self.orders: deque[Order] = deque(maxlen=self.remembered)
        self.total = 0

    @contextmanager
    def ask(self, method: str, path: str, name: str, **request: Any) -> Iterator[contract.Answer]:
        """Ask, and report an answer that is found wrong as a failure of the request."""
        with self.client.request(method, path, name=name, catch_response=True, **request) as answer:
            try:
                yield answer
            except contract.Wrong as wrong:
                answer.failure(str(wrong))

    def create(self, draft: Draft, path: str, name: str) -> None:
        sent, order_id = time.monotonic(), None
        try:
            with self._post(draft, path, name) as answer:
                order_id = contract.created(answer, draft.status, replayed=False)
                self.orders.append(Order(order_id, draft, sent, time.monotonic(), draft.status))
        finally:  # also when Locust kills a user that was just waking up, as the run ends
            self.ledger.add(draft, order_id)

    def repeat(self, order: Order, path: str, name: str) -> None:
        """Send an order again, as if its answer had been lost."""
        with self._post(order.draft, path, name) as answer:
            order_id = contract.created(answer, order.draft.status, replayed=True)
            contract.require(order_id == order.id, "a replay answers the same id")

    def follow(self, order: Order, path: str, name: str) -> None:
        with self.ask("GET", path, name) as answer:
            order.see(contract.status(answer, order.id), time.monotonic(), self.processing_time)

    def inspect(self, order: Order, path: str, name: str) -> None:
        with self.ask("GET", path, name) as answer:
            doc = contract.whole(answer, order.id)
            contract.require(order.draft.agrees_with(doc), "an order says what was sent")
            order.see(doc["status"], time.monotonic(), self.processing_time)

    def read_metrics(self, path: str, name: str) -> None:
        with self.ask("GET", path, name) as answer:
            self.total = contract.metrics(answer, known=self.total)["total_orders"]

    def walk(self, path: str, name: str, limit: int, pages: int) -> None:
        """Read the list page by page, no further than so many pages."""
        settled = time.monotonic() - self.lag
        own = [order.id for order in self.orders if order.answered <= settled]
        met: list[str] = []
        following: str | None = path
        while following and pages > 0:
            path, following, pages = following, None, pages - 1
            with self.ask("GET", path, name) as answer:
                ids, following = contract.page(answer, limit)
                met.extend(ids)
                walked = set(met)
                contract.require(len(walked) == len(met), "no id is listed twice")
                contract.listed(own, walked, to_the_end=following is None)

    def _post(self, draft: Draft, path: str, name: str) -> Any:
        headers = {"Idempotency-Key": draft.key} if draft.key else {}
        return self.ask("POST", path, name, json=draft.body(), headers=headers)

"""How a customer calls the service: each response is checked, each order is noted in the ledger."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TextIO

import contract
from locust import User, between
from order import Draft, Order


class Customer(User):
    """What the kinds of customers have in common, whichever HTTP client they use."""

    abstract = True
    client: Any  # FastHttpSession or HttpSession
    wait_time = between(1, 2)  # seconds; 1,000 users make 700 requests a second of it

    remembered = 100  # orders: enough to follow each to its end, and bounded in long runs

    ledger: TextIO  # a JSON value a line, as test/ledger reads it; line-buffered
    processing_time: float  # seconds
    lag: float  # seconds that the list may be behind

    def on_start(self) -> None:
        self.orders: deque[Order] = deque(maxlen=self.remembered)
        self.total = 0

    @contextmanager
    def send(self, method: str, path: str, name: str, **request: Any) -> Iterator[contract.Response]:
        """Send a request, and report a wrong response as a failure of the request."""
        with self.client.request(method, path, name=name, catch_response=True, **request) as response:
            try:
                yield response
            except contract.ContractViolation as wrong:
                response.failure(str(wrong))

    def create(self, draft: Draft, path: str, name: str) -> None:
        sent, order_id = time.monotonic(), ""
        try:
            with self._post(draft, path, name) as response:
                order_id = contract.created(response, draft.status, replayed=False)
                self.orders.append(Order(order_id, draft, sent, time.monotonic(), draft.status))
        finally:  # also when Locust kills a user that was just waking up, as the run ends
            self.ledger.write(json.dumps({"id": order_id, "draft": asdict(draft)}) + "\n")

    def repeat(self, order: Order, path: str, name: str) -> None:
        """Send an order again, as if its response had been lost."""
        with self._post(order.draft, path, name) as response:
            order_id = contract.created(response, order.draft.status, replayed=True)
            contract.require(order_id == order.id, "a replay has the same id")

    def follow(self, order: Order, path: str, name: str) -> None:
        with self.send("GET", path, name) as response:
            order.see(contract.status(response, order.id), time.monotonic(), self.processing_time)

    def inspect(self, order: Order, path: str, name: str) -> None:
        with self.send("GET", path, name) as response:
            doc = contract.whole(response, order.id)
            contract.require(order.draft.agrees_with(doc), "an order has the content that was sent")
            order.see(doc["status"], time.monotonic(), self.processing_time)

    def read_metrics(self, path: str, name: str) -> None:
        with self.send("GET", path, name) as response:
            self.total = contract.metrics(response, known=self.total)["total_orders"]

    def walk(self, path: str, name: str, limit: int, pages: int) -> None:
        """Read the list page by page, no further than so many pages."""
        settled = time.monotonic() - self.lag
        own = [order.id for order in self.orders if order.acknowledged <= settled]
        met: list[str] = []
        following: str | None = path
        while following and pages > 0:
            path, following, pages = following, None, pages - 1
            with self.send("GET", path, name) as response:
                ids, following = contract.page(response, limit)
                met.extend(ids)
                walked = set(met)
                contract.require(len(walked) == len(met), "no id is listed twice")
                contract.listed(own, walked, to_the_end=following is None)

    def _post(self, draft: Draft, path: str, name: str) -> Any:
        headers = {"Idempotency-Key": draft.key} if draft.key else {}
        return self.send("POST", path, name, json=draft.body(), headers=headers)

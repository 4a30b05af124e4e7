"""Reads a whole store through the API, as fast as one process can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import contract
import gevent
from contract import Doc
from gevent.pool import Pool
from locust.contrib.fasthttp import FastHttpSession
from locust.event import EventHook

READERS = 50  # requests side by side
ATTEMPTS = 5  # a second apart: on AWS, reading this fast may be throttled
TIMEOUT = 30  # seconds

T = TypeVar("T")


class Store:
    """Every read raises contract.Wrong when its answer stays wrong."""

    def __init__(self, base_url: str) -> None:
        self._session = FastHttpSession(
            base_url.rstrip("/"),
            EventHook(),
            user=None,
            insecure=False,
            concurrency=READERS,
            connection_timeout=TIMEOUT,
            network_timeout=TIMEOUT,
        )

    def metrics(self) -> Doc:
        return self._read("/api/metrics/", lambda answer: contract.metrics(answer, known=0))

    def await_completion(self, orders: int, patience: float) -> None:
        """Wait until so many orders, and all others, are Completed; patience is in seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            metrics = self.metrics()
            completed = metrics["status_counts"][contract.COMPLETED]
            if completed == metrics["total_orders"] >= orders:
                return
            gevent.sleep(0.5)

    def ids(self) -> Iterator[str]:
        """All ids, page by page."""
        following: str | None = f"/api/orders/ids/?limit={contract.MAX_PAGE}"
        while following:
            ids, following = self._read(following, lambda answer: contract.page(answer, contract.MAX_PAGE))
            yield from ids

    def orders(self, ids: Iterable[str]) -> Iterator[tuple[str, Doc | None]]:
        """The orders with these ids, whole, in any order of them; None for one that is not there."""
        return Pool(READERS).imap_unordered(self._order, ids, maxsize=READERS)

    def _order(self, order_id: str) -> tuple[str, Doc | None]:
        def whole(answer: contract.Answer) -> Doc | None:
            return None if answer.status_code == 404 else contract.whole(answer, order_id)

        return order_id, self._read(f"/api/orders/{order_id}/", whole)

    def _read(self, path: str, check: Callable[[contract.Answer], T]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return check(self._session.get(path))
            except contract.Wrong:
                gevent.sleep(1)
        return check(self._session.get(path))

"""Users for Locust: those of this API, and those of the original system.

    locust -f test/load/locustfile.py --host http://127.0.0.1:8000

test/load/main.go runs this against a service, and audits the store afterwards.
"""

from __future__ import annotations

import functools
import os
import random
from argparse import ArgumentParser
from typing import Any

import contract
import gevent.ssl
from customer import Customer
from locust import FastHttpUser, HttpUser, events, task
from locust.env import Environment
from order import new_draft

KEYED = 0.3  # of all orders have an idempotency key
PAGES = 5  # that a walk reads at most


class Shopper(Customer, FastHttpUser):
    """Places orders, reads them until they are Completed, and reads the list and the metrics."""

    weight = 9
    insecure = False
    # One context for all: making one reads all certificates of the system, for 20 ms.
    ssl_context_factory = staticmethod(functools.cache(gevent.ssl.create_default_context))

    def on_start(self) -> None:
        super().on_start()
        self.client.base_url = self.client.base_url.rstrip("/")

    @task(10)
    def place(self) -> None:
        draft = new_draft(with_reference=random.random() < 0.5, with_key=random.random() < KEYED)
        self.create(draft, "/api/orders/create/", "create")

    @task(1)
    def place_again(self) -> None:
        if keyed := [order for order in self.orders if order.draft.key]:
            self.repeat(random.choice(keyed), "/api/orders/create/", "create, repeated")

    @task(6)
    def ask_status(self) -> None:
        if unfinished := [order for order in self.orders if not order.completed]:
            order = random.choice(unfinished)
            self.follow(order, f"/api/orders/{order.id}/status/", "status")

    @task(1)
    def read_whole(self) -> None:
        if self.orders:
            order = random.choice(self.orders)
            self.inspect(order, f"/api/orders/{order.id}/", "whole order")

    @task(1)
    def list_ids(self) -> None:
        limit = random.choice((50, 200, contract.MAX_PAGE))
        self.walk(f"/api/orders/ids/?limit={limit}", "ids, page by page", limit, PAGES)

    @task(1)
    def count(self) -> None:
        self.read_metrics("/api/metrics/", "metrics")


class OriginalClient(Customer, HttpUser):
    """Calls as the load test of the original system did.

    Its host ends in a slash, so its paths begin with two. FastHttpUser refuses to send those.
    """

    weight = 1

    def on_start(self) -> None:
        super().on_start()
        self.client.base_url = self.client.base_url.rstrip("/") + "/"

    @task(4)
    def place(self) -> None:
        draft = new_draft(random.choice(contract.STATUSES), with_reference=True)
        self.create(draft, "/api/orders/", "original: create")

    @task(2)
    def ask_status(self) -> None:
        if self.orders:
            order = random.choice(self.orders)
            self.follow(order, f"/api/orders/{order.id}/status/", "original: status")

    @task(1)
    def list_ids(self) -> None:
        self.walk("/api/orders/ids/", "original: ids", contract.MAX_PAGE, pages=1)

    @task(1)
    def count(self) -> None:
        self.read_metrics("/api/metrics/", "original: metrics")


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """Options beside Locust's own."""
    parser.add_argument("--processing-time", type=float, default=50, help="that of the service, in seconds")
    parser.add_argument("--lag", type=float, default=0, help="how far the list may be behind, in seconds, on AWS")
    parser.add_argument("--ledger", default=os.devnull, help="file to note each order in")


@events.init.add_listener
def set_options(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    Customer.ledger = open(options.ledger, "a", buffering=1, encoding="utf-8")
    Customer.processing_time = options.processing_time
    Customer.lag = options.lag

"""Users for Locust: those of this API, and those of the system that it took over from.

    locust -f test/load/locustfile.py --host http://127.0.0.1:8000

test/load/run.py starts this together with a service, and settles the accounts afterwards.
"""

from __future__ import annotations

import functools
import json
import os
import random
from argparse import ArgumentParser
from typing import Any

import contract
import gevent.ssl
from customer import Customer
from duration import seconds
from ledger import Ledger
from locust import FastHttpUser, HttpUser, events, task
from locust.env import Environment
from order import new_draft

KEYED = 0.3  # of all orders have an idempotency key
PAGES = 5  # that a walk reads at most


class Shopper(Customer, FastHttpUser):
    """Places orders, follows them to their end, and looks around."""

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
    """Options beside Locust's own, each with a variable that sets it."""
    parser.add_argument("--processing-time", env_var="PROCESSING_TIME", default="50s", help="that of the service")
    parser.add_argument("--lag", env_var="LAG", default="0s", help="how far the list may be behind, on AWS")
    parser.add_argument("--ledger", default=os.devnull, help="file to note each order in")
    parser.add_argument("--totals", default=os.devnull, help="file for the figures of the run")


@events.init.add_listener
def open_ledger(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    Customer.ledger = Ledger(options.ledger)
    Customer.processing_time = seconds(options.processing_time)
    Customer.lag = seconds(options.lag)


@events.test_stop.add_listener
def write_totals(environment: Environment, **_: Any) -> None:
    total = environment.stats.total
    figures = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "seconds": (total.last_request_timestamp or 0) - total.start_time,
        "per_second": total.total_rps,
        "p50_ms": total.get_response_time_percentile(0.50),
        "p95_ms": total.get_response_time_percentile(0.95),
        "p99_ms": total.get_response_time_percentile(0.99),
        "max_ms": total.max_response_time,
        "errors": [
            *(f"{e.occurrences} x {e.method} {e.name}: {e.error}" for e in environment.stats.errors.values()),
            *(f"{e['count']} x {e['msg']}" for e in environment.runner.exceptions.values()),
        ],
    }
    with open(environment.parsed_options.totals, "w", encoding="utf-8") as file:
        json.dump(figures, file)

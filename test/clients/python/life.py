"""Takes orders through their life with the client that openapi-python-client generates."""

import os
import time
import uuid
from decimal import Decimal

from orders_api_client import Client
from orders_api_client.api.operation import get_metrics
from orders_api_client.api.orders import (
    cancel_order,
    complete_order,
    create_order,
    fail_order,
    get_order,
    get_order_status,
    list_order_ids,
    retry_order,
)
from orders_api_client.models import (
    InitialStatus,
    Metrics,
    Order,
    OrderDraft,
    OrderFailure,
    OrderRetry,
    OrderStatus,
    OrderTransition,
    Problem,
    Status,
)

client = Client(base_url=os.environ["ORDERS_URL"], raise_on_unexpected_status=True)
deadline = time.monotonic() + 60

for amount in ("1650.78", "99999999.99", "0.01"):
    draft = OrderDraft(user_id="645", item_ids=["890", "563"], total_amount=amount)
    key = str(uuid.uuid4())
    created = create_order.sync(client=client, body=draft, idempotency_key=key)
    assert isinstance(created, OrderStatus), created
    again = create_order.sync(client=client, body=draft, idempotency_key=key)
    assert again == created, (again, created)

    while True:
        status = get_order_status.sync(created.order_id, client=client)
        assert isinstance(status, OrderStatus), status
        if status.status == Status.COMPLETED:
            break
        assert time.monotonic() < deadline, "the order is not completed within a minute"
        time.sleep(0.05)

    order = get_order.sync(created.order_id, client=client)
    assert isinstance(order, Order), order
    assert Decimal(order.total_amount) == Decimal(amount), (order.total_amount, amount)
    assert (order.user_id, order.item_ids) == ("645", ["890", "563"]), order
    assert order.completed_at and order.completed_at > order.created_at, order

    page = list_order_ids.sync(client=client, limit=1)
    assert isinstance(page, list) and [entry.order_id for entry in page] == [created.order_id], page
    metrics = get_metrics.sync(client=client)
    assert isinstance(metrics, Metrics) and metrics.status_counts.completed > 0, metrics

draft = OrderDraft(user_id="645", item_ids=["890"], total_amount="9.90", status=InitialStatus.PROCESSING)
created = create_order.sync(client=client, body=draft)
assert isinstance(created, OrderStatus), created
early = complete_order.sync(created.order_id, client=client, body=OrderTransition(version=2))
assert isinstance(early, Problem) and early.order_status == Status.PROCESSING, early
failed = fail_order.sync(created.order_id, client=client, body=OrderFailure(reason="out of stock", version=2))
assert isinstance(failed, OrderStatus) and failed.status == Status.FAILED, failed
retried = retry_order.sync(created.order_id, client=client, body=OrderRetry(version=3))
assert isinstance(retried, OrderStatus) and retried.status == Status.PENDING, retried
cancelled = cancel_order.sync(created.order_id, client=client, body=OrderTransition(reason="changed my mind"))
assert isinstance(cancelled, OrderStatus) and cancelled.status == Status.CANCELLED, cancelled
order = get_order.sync(created.order_id, client=client)
assert isinstance(order, Order) and order.reason == "changed my mind" and len(order.history) >= 4, order

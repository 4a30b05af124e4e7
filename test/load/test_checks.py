"""Every check takes right responses and finds wrong ones. make load runs these tests first."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import contract
import pytest
from order import Draft, Order

A, B, C = (f"ORD{letter * 26}" for letter in "ABC")
DRAFT = Draft("645", ("890", "563"), "1650.78", "", contract.PENDING, "key")
IMPORTED = Draft("7", ("1",), "0.01", "userTest23", contract.COMPLETED, "")


def response(status: int, doc: Any, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, content=json.dumps(doc).encode(), headers=names)


def whole(order_id: str, draft: Draft = DRAFT, **changed: Any) -> dict[str, Any]:
    """An order that was Completed a second after its creation, or imported as Completed."""
    imported = draft.status == contract.COMPLETED
    return {
        "order_id": order_id,
        "client_reference": draft.client_reference or None,
        "user_id": draft.user_id,
        "item_ids": list(draft.item_ids),
        "total_amount": draft.total_amount,
        "status": contract.COMPLETED,
        "created_at": "2026-03-14T09:26:53.589Z",
        "started_at": None if imported else "2026-03-14T09:26:53.590Z",
        "completed_at": None if imported else "2026-03-14T09:26:54.590Z",
        "failed_at": None,
        "cancelled_at": None,
        "version": 3,
        "attempt": 0 if imported else 1,
        "reason": None,
        "history": [],
    } | changed


def create(status: int = 201, asked: str = "Pending", order_id: str = A, **headers: str) -> Callable[[], Any]:
    headers = {"Location": f"../{order_id}/"} | headers
    return lambda: contract.created(
        response(status, {"order_id": order_id, "status": asked}, **headers), contract.PENDING, replayed=False
    )


def counts(total: int, pending: int, **more: int) -> Callable[[], Any]:
    statuses = {"Pending": pending, "Processing": 0, "Completed": 1} | more
    doc = {"total_orders": total, "avg_process_time": 1, "status_counts": statuses}
    return lambda: contract.metrics(response(200, doc), known=2)


RIGHT: list[Callable[[], Any]] = [
    create(),
    counts(2, 1),
    lambda: contract.status(response(200, {"order_id": A, "status": "Processing"}), A),
    lambda: contract.whole(response(200, whole(A)), A),
    lambda: contract.whole(response(200, whole(A, IMPORTED)), A),
    lambda: contract.page(response(200, [{"order_id": A}]), 1),
    lambda: contract.listed([A, B, C], {B, C}, to_the_end=False),
    lambda: contract.listed([A, B, C], {A, B, C}, to_the_end=True),
    lambda: Order(A, DRAFT, 0, 0, contract.PROCESSING).see(contract.COMPLETED, 50, 50),
]

WRONG: list[Callable[[], Any]] = [
    create(status=503),
    create(asked="Processing"),
    create(order_id="ORD1"),
    create(Location="/api/orders/"),
    create(Idempotency_Replayed="true"),
    counts(3, 1),
    counts(1, 0),
    counts(2, 2, Processing=-1),
    counts(2, 1, Cancelled=0),
    lambda: contract.status(response(200, {"order_id": B, "status": "Processing"}), A),
    lambda: contract.status(response(200, {"order_id": A, "status": "Lost"}), A),
    lambda: contract.status(response(200, [A]), A),
    lambda: contract.whole(response(200, whole(B)), A),
    lambda: contract.whole(response(200, whole(A, started_at=None)), A),
    lambda: contract.whole(response(200, whole(A, started_at="2026-03-14T09:26:53.588Z")), A),
    lambda: contract.page(response(200, [{"order_id": A}, {"order_id": B}]), 1),
    lambda: contract.page(response(200, [], Link="<https://elsewhere/>; rel=next"), 1),
    lambda: contract.listed([A, B, C], {A, C}, to_the_end=False),
    lambda: contract.listed([A, B, C], {B, C}, to_the_end=True),
    lambda: Order(A, DRAFT, 0, 0, contract.PROCESSING).see(contract.PENDING, 99, 50),
    lambda: Order(A, DRAFT, 0, 0, contract.PROCESSING).see(contract.COMPLETED, 49, 50),
]


@pytest.mark.parametrize("check", RIGHT)
def test_a_right_response_passes(check: Callable[[], Any]) -> None:
    check()


@pytest.mark.parametrize("check", WRONG)
def test_a_wrong_response_is_found(check: Callable[[], Any]) -> None:
    with pytest.raises(contract.ContractViolation):
        check()


def test_an_order_with_another_content_is_found() -> None:
    assert DRAFT.agrees_with(whole(A))
    for changed in ({"user_id": "1"}, {"item_ids": []}, {"total_amount": "1.00"}, {"client_reference": "other"}):
        assert not DRAFT.agrees_with(whole(A, **changed))

"""Every check finds what it is there for. make load runs this before it relies on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import audit
import contract
import pytest
import report
from ledger import Accounts, Ledger, read
from order import Draft, Order

A, B, C = (f"ORD{letter * 26}" for letter in "ABC")
DRAFT = Draft("645", ("890", "563"), "1650.78", None, contract.PENDING, "key")
TAKEN_OVER = Draft("7", ("1",), "0.01", "userTest23", contract.COMPLETED, None)


def answer(status: int, doc: Any, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, content=json.dumps(doc).encode(), headers=names)


def whole(order_id: str, draft: Draft = DRAFT, **changed: Any) -> dict[str, Any]:
    """An order that was Completed a second after its creation, or taken over as Completed."""
    taken_over = draft.status == contract.COMPLETED
    return {
        "order_id": order_id,
        "client_reference": draft.client_reference,
        "user_id": draft.user_id,
        "item_ids": list(draft.item_ids),
        "total_amount": draft.total_amount,
        "status": contract.COMPLETED,
        "created_at": "2026-03-14T09:26:53.589Z",
        "started_at": None if taken_over else "2026-03-14T09:26:53.590Z",
        "completed_at": None if taken_over else "2026-03-14T09:26:54.590Z",
    } | changed


def create(status: int = 201, asked: str = "Pending", order_id: str = A, **headers: str) -> Callable[[], Any]:
    headers = {"Location": f"../{order_id}/"} | headers
    return lambda: contract.created(
        answer(status, {"order_id": order_id, "status": asked}, **headers), contract.PENDING, replayed=False
    )


def counts(total: int, pending: int, **more: int) -> Callable[[], Any]:
    statuses = {"Pending": pending, "Processing": 0, "Completed": 1} | more
    doc = {"total_orders": total, "avg_process_time": 1, "status_counts": statuses}
    return lambda: contract.metrics(answer(200, doc), known=2)


RIGHT: list[Callable[[], Any]] = [
    create(),
    counts(2, 1),
    lambda: contract.status(answer(200, {"order_id": A, "status": "Processing"}), A),
    lambda: contract.whole(answer(200, whole(A)), A),
    lambda: contract.whole(answer(200, whole(A, TAKEN_OVER)), A),
    lambda: contract.page(answer(200, [{"order_id": A}]), 1),
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
    lambda: contract.status(answer(200, {"order_id": B, "status": "Processing"}), A),
    lambda: contract.status(answer(200, {"order_id": A, "status": "Lost"}), A),
    lambda: contract.status(answer(200, [A]), A),
    lambda: contract.whole(answer(200, whole(B)), A),
    lambda: contract.whole(answer(200, whole(A, started_at=None)), A),
    lambda: contract.whole(answer(200, whole(A, started_at="2026-03-14T09:26:53.588Z")), A),
    lambda: contract.page(answer(200, [{"order_id": A}, {"order_id": B}]), 1),
    lambda: contract.page(answer(200, [], Link="<https://elsewhere/>; rel=next"), 1),
    lambda: contract.listed([A, B, C], {A, C}, to_the_end=False),
    lambda: contract.listed([A, B, C], {B, C}, to_the_end=True),
    lambda: Order(A, DRAFT, 0, 0, contract.PROCESSING).see(contract.PENDING, 99, 50),
    lambda: Order(A, DRAFT, 0, 0, contract.PROCESSING).see(contract.COMPLETED, 49, 50),
]


@pytest.mark.parametrize("check", RIGHT)
def test_a_right_answer_is_taken(check: Callable[[], Any]) -> None:
    check()


@pytest.mark.parametrize("check", WRONG)
def test_a_wrong_answer_is_refused(check: Callable[[], Any]) -> None:
    with pytest.raises(contract.Wrong):
        check()


class FakeStore:
    """A store with two orders that the service completed, and one that was taken over as Completed."""

    def __init__(self) -> None:
        self.listed = [A, B, C]
        self.docs = {
            A: whole(A),
            B: whole(B, TAKEN_OVER),
            C: whole(C, completed_at="2026-03-14T09:26:54.591Z"),
        }
        self.mean = 1.0015
        self.total = 3

    def metrics(self) -> dict[str, Any]:
        statuses = {"Pending": 0, "Processing": 0, "Completed": self.total}
        return {"total_orders": self.total, "avg_process_time": self.mean, "status_counts": statuses}

    def ids(self) -> Iterator[str]:
        return iter(self.listed)

    def orders(self, ids: set[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
        return ((order_id, self.docs.get(order_id)) for order_id in ids)


def failed(store: Any, accounts: Accounts | None = None, slack: int = 1000) -> list[str]:
    """The promises that the store breaks."""
    accounts = accounts or Accounts({A: DRAFT, B: TAKEN_OVER, C: DRAFT})
    found = audit.settle(store, accounts, audit.Rules(processing_time=1000, slack=slack, fresh=True))
    return [check.promise for check in report.checks({"errors": []}, found) if check.faults]


def test_right_accounts_have_no_faults() -> None:
    assert failed(FakeStore()) == []


@pytest.mark.parametrize(
    ("promise", "change"),
    [
        ("every order that was acknowledged is there", {"listed": [A, B]}),
        ("every order that was acknowledged is there", {"docs": {A: whole(A), B: whole(B, TAKEN_OVER)}}),
        ("no order is there twice", {"listed": [A, B, A, C]}),
        ("metrics equal the recount of all orders", {"total": 4}),
        ("metrics equal the recount of all orders", {"mean": 1.0015001}),
    ],
)
def test_a_broken_promise_is_found(promise: str, change: dict[str, Any]) -> None:
    store = FakeStore()
    vars(store).update(change)
    assert promise in failed(store)


@pytest.mark.parametrize(
    ("promise", "doc"),
    [
        ("every order says what was sent", whole(A, total_amount="1.00")),
        ("every order says what was sent", whole(A, started_at=None, completed_at=None)),
        ("every order is Completed", whole(A, status="Processing", completed_at=None)),
    ],
)
def test_a_wrong_order_is_found(promise: str, doc: dict[str, Any]) -> None:
    store = FakeStore()
    store.docs[A] = doc
    assert promise in failed(store)


def test_an_order_that_nobody_sent_is_found_unless_its_answer_was_lost() -> None:
    promise = "there is no order that nobody sent"
    known = {A: DRAFT, C: DRAFT}
    assert failed(FakeStore(), Accounts(known)) == [promise]
    assert failed(FakeStore(), Accounts(known, unanswered=[TAKEN_OVER])) == []
    assert failed(FakeStore(), Accounts(known, unanswered=[DRAFT])) == [promise]
    twins = {B: TAKEN_OVER}
    assert failed(FakeStore(), Accounts(twins, unanswered=[DRAFT])) == [promise]
    assert failed(FakeStore(), Accounts(twins, unanswered=[DRAFT, DRAFT])) == []


def test_times_out_of_bounds_are_found() -> None:
    store = FakeStore()
    assert failed(store, slack=0) == ["none was Completed later than 1 s after its creation"]
    store.docs[A] = whole(A, started_at="2026-03-14T09:26:53.591Z")  # a millisecond later than else
    assert failed(store) == ["none was Completed sooner than 1 s after its start"]


def test_an_id_that_two_orders_got_is_found(tmp_path: Any) -> None:
    ledger = Ledger(tmp_path / "ledger")
    for draft, order_id in ((DRAFT, A), (TAKEN_OVER, B), (DRAFT, A), (DRAFT, C), (DRAFT, None)):
        ledger.add(draft, order_id)
    accounts = read(tmp_path / "ledger")
    assert accounts == Accounts({A: DRAFT, B: TAKEN_OVER, C: DRAFT}, [A], [DRAFT])
    assert failed(FakeStore(), accounts) == ["no order is there twice"]

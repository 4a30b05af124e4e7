"""The contract of the service, openapi.yaml, as checks.

Each function takes a response, returns the part that a customer needs, and raises ContractViolation
when the response breaks the contract.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar

PENDING, PROCESSING, COMPLETED = STATUSES = ("Pending", "Processing", "Completed")

P = ParamSpec("P")
T = TypeVar("T")
Doc = dict[str, Any]

MAX_PAGE = 1000  # ids

_ORDER_ID = re.compile(r"ORD[0-9A-HJKMNP-TV-Z]{26}")
_NEXT = re.compile(r'<(\?limit=[0-9]{1,4}&cursor=[A-Za-z0-9_-]+)>; rel="next"')
_FIELDS = {
    *("order_id", "client_reference", "user_id", "item_ids", "total_amount", "status"),
    *("created_at", "started_at", "completed_at", "failed_at", "cancelled_at"),
    *("version", "attempt", "reason", "history"),
}
_MOMENTS = {PENDING: {1}, PROCESSING: {2}, COMPLETED: {3, 1}}  # 1: imported as Completed


class ContractViolation(Exception):
    """A response breaks the contract. The text names no order, so that Locust counts equal errors as one."""


class Response(Protocol):
    """The part of an HTTP response that the checks need."""

    @property
    def status_code(self) -> int: ...

    @property
    def content(self) -> bytes | None: ...

    headers: Any


def require(holds: bool, promise: str) -> None:
    if not holds:
        raise ContractViolation(promise)


def _of_its_form(check: Callable[P, T]) -> Callable[P, T]:
    """Make ContractViolation of the exceptions that a check raises on a response of another form."""

    @functools.wraps(check)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return check(*args, **kwargs)
        except (LookupError, TypeError, ValueError, AttributeError) as err:
            raise ContractViolation(f"the response has another form: {err!r}") from err

    return checked


def _document(response: Response, status: int) -> Any:
    """The JSON of a response that has the status."""
    if response.status_code == 0:
        raise ContractViolation(f"no response: {getattr(response, 'error', None)!r}")
    require(response.status_code == status, f"status {response.status_code}, not {status}")
    return json.loads(response.content or b"")


@_of_its_form
def created(response: Response, asked: str, replayed: bool) -> str:
    """The id of the order that a create has made, now or earlier with the same key."""
    doc = _document(response, 201)
    require(set(doc) == {"order_id", "status"}, "the response to a create is order_id and status")
    order_id: str = doc["order_id"]
    require(_ORDER_ID.fullmatch(order_id) is not None, "an id is ORD and 26 characters")
    require(doc["status"] == asked, "a create begins with the status that was asked for")
    location = response.headers.get("Location")
    relative = (f"../{order_id}/", f"{order_id}/")  # to /api/orders/create/, to /api/orders/
    require(location in relative, "Location leads to the order")
    replay = response.headers.get("Idempotency-Replayed") == "true"
    require(replay == replayed, "a response is a replay if its key was used before, and only then")
    return order_id


@_of_its_form
def status(response: Response, order_id: str) -> str:
    """The status of the order that was asked for."""
    doc = _document(response, 200)
    require(set(doc) == {"order_id", "status"}, "a status is order_id and status")
    require(doc["order_id"] == order_id, "the response is about the order that was asked for")
    return _known(doc["status"])


def _known(status: str) -> str:
    require(status in STATUSES, "there are three statuses")
    return status


@_of_its_form
def whole(response: Response, order_id: str) -> Doc:
    """The whole order that was asked for."""
    doc: Doc = _document(response, 200)
    require(set(doc) == _FIELDS, "a whole order has its fields")
    require(doc["order_id"] == order_id, "the response is about the order that was asked for")
    stamps = (doc["created_at"], doc["started_at"], doc["completed_at"])
    moments = [datetime.fromisoformat(stamp) for stamp in stamps if stamp is not None]
    require(moments == sorted(moments), "an order's times never run backwards")
    require(len(moments) in _MOMENTS[_known(doc["status"])], "an order has the times that its status says")
    return doc


@_of_its_form
def page(response: Response, limit: int) -> tuple[list[str], str | None]:
    """The ids on a page, and where the next page is, if there is one."""
    ids = [entry["order_id"] for entry in _document(response, 200)]
    require(len(ids) <= limit, "a page has no more ids than asked for")
    link = response.headers.get("Link")
    if link is None:
        return ids, None
    following = _NEXT.fullmatch(link)
    if following is None:
        raise ContractViolation("Link names the next page")
    return ids, "/api/orders/ids/" + following[1]


def listed(own: Sequence[str], walked: set[str], to_the_end: bool) -> None:
    """Pages run from the newest order to older ones and leave none out.

    So of a customer's own orders, in the order of their creation, those that the walk
    has met are the last ones; and all, when it went to the end.
    """
    met = [order_id in walked for order_id in own]
    require(met == sorted(met), "the list leaves no order out")
    require(not to_the_end or all(met), "the whole list has every order")


@_of_its_form
def metrics(response: Response, known: int) -> Doc:
    """Metrics that agree with themselves, and with a total that was read before."""
    doc: Doc = _document(response, 200)
    counts = doc["status_counts"]
    require(set(counts) == set(STATUSES), "metrics count all three statuses")
    require(all(type(n) is int and n >= 0 for n in counts.values()), "a count is never negative")
    require(doc["total_orders"] == sum(counts.values()), "the total is the sum of the statuses")
    require(doc["avg_process_time"] >= 0, "the mean is never negative")
    require(doc["total_orders"] >= known, "the total never falls")
    return doc

"""A change of plan before it is made: which item becomes what, and what Stripe's previews say of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.billing.catalog.snapshot import Snapshot, group_of, is_active, is_offered
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.subscriptions.timing import ChangeTime
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.mirror.mapping import invoice as invoice_columns
from gateway.models.mirrored import Price, SubscriptionItem
from gateway.stripe_api.client import StripeResponse

OWING = frozenset({"past_due", "unpaid", "incomplete"})
"""Statuses in which an invoice comes before a change."""
_UNPAID = frozenset({"draft", "open", "uncollectible"})


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What somebody wants to change to.

    Attributes:
        price_id: the new plan, or the present one to change only the quantity.
        quantity: None keeps the present one.
        item_id: which item of the subscription changes; None leaves it to the plan.
        proration_date: the moment that the preview counted from; None is now.
        when: it happens; None leaves it to the setting.
    """

    price_id: str
    quantity: int | None = None
    item_id: str | None = None
    proration_date: datetime | None = None
    when: ChangeTime | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would cost. Amounts are minor units of `currency`.

    Attributes:
        currency: the subscription's.
        due_now: what would be charged at once.
        credit: what would be left over and lower the next invoices.
        lines: of the invoice that the change makes, as `mirror.resources.invoice_line` reduces them.
        due_at_renewal: what each renewal costs then; None when there will be none.
        renews_at: when the next one is.
        proration_date: what the amounts count from; `change` takes it.
        at: when the change happens, if it waits for the period's end.
    """

    currency: str
    due_now: int
    credit: int
    lines: list[dict[str, Any]]
    due_at_renewal: int | None
    renews_at: datetime | None
    proration_date: datetime
    at: datetime | None = None


def plan_items(
    change: PlanChange, present: SubscriptionState, snapshot: Snapshot, max_quantity: int
) -> list[dict[str, Any]]:
    """Return the `items` parameter of a change.

    Of several items the one that is named changes, else the one of the same price, of the same product, or of a product
    of the same group.

    Args:
        change: what to.
        present: the subscription.
        snapshot: the only prices there are.
        max_quantity: of one item.

    Raises:
        Rejected: there is no such price, or the subscription cannot have it so.
    """
    price = snapshot.prices.get(change.price_id)
    if price is None:
        raise _rejected(ProblemCode.PRICE_NOT_FOUND, "there is no such price in the catalogue", "priceId")
    _check_price(price, present, snapshot)
    item = _item_for(change, price, present, snapshot)
    target: dict[str, Any] = {"id": item.id, "price": price.id}
    if price.usage_type == "metered":
        if change.quantity is not None:
            message = "a metered price is billed by use: leave the quantity out"
            raise _rejected(ProblemCode.QUANTITY_INVALID, message, "quantity")
        return [target]
    quantity = (item.quantity or 1) if change.quantity is None else change.quantity
    if not 1 <= quantity <= max_quantity:
        raise _rejected(ProblemCode.QUANTITY_INVALID, f"the quantity must be 1 to {max_quantity}", "quantity")
    return [{**target, "quantity": quantity}]


def _item_for(change: PlanChange, price: Price, present: SubscriptionState, snapshot: Snapshot) -> SubscriptionItem:
    """Return the item that changes: never just the first of several."""
    items = present.items
    if change.item_id is not None:
        named = next((item for item in items if item.id == change.item_id), None)
        if named is None:
            message = "the subscription has no such item"
            raise _rejected(ProblemCode.SUBSCRIPTION_ITEM_NEEDED, message, "subscriptionItemId")
        return named
    if len(items) == 1:
        return items[0]
    group = group_of(snapshot.products[price.product_id])
    products = {item.id: snapshot.products.get(item.product_id) for item in items}
    kin = [item for item in items if group is not None and (of := products[item.id]) and group_of(of) == group]
    for candidates in (
        [item for item in items if item.price_id == price.id],
        [item for item in items if item.product_id == price.product_id],
        kin,
    ):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            break
    message = "the subscription has several items: name the one that changes in `subscriptionItemId`"
    raise _rejected(ProblemCode.SUBSCRIPTION_ITEM_NEEDED, message, "subscriptionItemId")


def _check_price(price: Price, present: SubscriptionState, snapshot: Snapshot) -> None:
    kept = any(item.price_id == price.id for item in present.items)  # who has an old plan may keep it
    if not kept and not (is_active(price) and is_active(snapshot.products[price.product_id])):
        raise _rejected(ProblemCode.PRICE_NOT_ON_SALE, "this price is no longer on sale", "priceId")
    if price.interval is None:
        raise _rejected(ProblemCode.PRICE_NOT_RECURRING, "this price is paid once; choose a plan", "priceId")
    currency = present.subscription.currency
    if not is_offered(price, currency):
        message = f"the subscription is billed in {currency.upper()}, in which this price is not offered"
        raise _rejected(ProblemCode.CURRENCY_NOT_OFFERED, message, "priceId")


def _rejected(code: ProblemCode, message: str, field: str) -> Rejected:
    return Rejected(Problem(code, message, field))


def check_paid(status: str, latest_invoice: Mapping[str, Any] | None) -> None:
    """Refuse a change while an invoice of the subscription is unpaid: nobody changes out of a debt.

    Args:
        status: of the subscription.
        latest_invoice: its latest invoice as Stripe has it, if there is one.

    Raises:
        Rejected: with what to do first.
    """
    if status in OWING or (latest_invoice is not None and latest_invoice["status"] in _UNPAID):
        message = "an invoice of this subscription is not paid yet: it comes before a change"
        raise _rejected(ProblemCode.INVOICE_UNPAID, message, "subscriptionId")


def already_applied(present: SubscriptionState, items: list[dict[str, Any]]) -> bool:
    """Return whether it is so already: then nothing is to be done, as when a request is sent again."""
    have = {item.id: (item.price_id, item.quantity) for item in present.items}
    return all(have.get(item["id"]) == (item["price"], item.get("quantity")) for item in items)


def preview_of(
    present: SubscriptionState,
    price_id: str,
    *,
    as_of: int,
    due: StripeResponse | None,
    renewal: StripeResponse | None,
    at: datetime | None = None,
) -> Preview:
    """Return what Stripe's two previews say.

    Args:
        present: the subscription.
        price_id: the plan changed to.
        as_of: when the subscription was read, on Stripe's clock.
        due: the invoice that the change makes at once; None when it makes none.
        renewal: an invoice of the plan alone; None when the subscription ends before its renewal.
        at: when the change happens, if it waits for the period's end: that is its renewal, too.
    """
    now = _invoice(due)
    proration_date = _proration_date(due, renewal, as_of)
    return Preview(
        currency=present.subscription.currency,
        due_now=now.get("amount_due", 0),
        credit=max(0, -now.get("total", 0)),
        lines=now.get("lines", []),
        due_at_renewal=_invoice(renewal).get("total"),
        renews_at=at or _renewal(_invoice(renewal).get("lines", []), price_id, proration_date),
        proration_date=datetime.fromtimestamp(proration_date, UTC),
        at=at,
    )


def _invoice(answer: StripeResponse | None) -> dict[str, Any]:
    return {} if answer is None else invoice_columns(answer.object)


def _proration_date(due: StripeResponse | None, renewal: StripeResponse | None, as_of: int) -> int:
    """Return the moment that Stripe has counted from: said by the invoice, else by where its prorations begin."""
    if due is not None:
        details = (due.object.get("parent") or {}).get("subscription_details") or {}
        starts = [line["period_start"] for line in _invoice(due)["lines"] if line["proration"]]
        return int(details.get("subscription_proration_date") or min(starts, default=due.as_of))
    return renewal.as_of if renewal else as_of


def _renewal(lines: Iterable[dict[str, Any]], price_id: str, now: int) -> datetime | None:
    """Return when the plan is next billed: its line is for a period that begins then, or has begun and ends then."""
    for line in lines:
        if line["price"] == price_id:
            at = line["period_start"] if line["period_start"] > now else line["period_end"]
            return datetime.fromtimestamp(at, UTC)
    return None

"""A change of plan before it is made: what is asked for, and what Stripe's previews say of it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.mirror.invoice_mapping import invoice as invoice_columns
from gateway.mirror.mapping import pending_update
from gateway.models.statuses import UNPAID
from gateway.stripe_api.client import StripeResponse

OWING = frozenset({"past_due", "unpaid", "incomplete"})
"""Statuses in which an invoice comes before a change."""


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
        trial_end: when the trial that goes on after the change ends.
    """

    currency: str
    due_now: int
    credit: int
    lines: list[dict[str, Any]]
    due_at_renewal: int | None
    renews_at: datetime | None
    proration_date: datetime
    at: datetime | None = None
    trial_end: datetime | None = None


def check_paid(status: str, latest_invoice: Mapping[str, Any] | None) -> None:
    """Refuse a change while an invoice of the subscription is unpaid: nobody changes out of a debt.

    Args:
        status: of the subscription.
        latest_invoice: its latest invoice as Stripe has it, if there is one.

    Raises:
        Rejected: with what to do first.
    """
    if status in OWING or (latest_invoice is not None and latest_invoice["status"] in UNPAID):
        message = "an invoice of this subscription is not paid yet: it comes before a change"
        raise Rejected(Problem(ProblemCode.INVOICE_UNPAID, message, "subscriptionId"))


def billed_before(subscription: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the latest invoice that may be a debt: not that of a change which waits for its payment.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
    """
    return None if subscription.get("pending_update") else subscription["latest_invoice"]


def is_unconfirmed(subscription: Mapping[str, Any], wanted: Sequence[tuple[str, int | None]]) -> bool:
    """Return whether a change waits for its payment already.

    Args:
        subscription: as Stripe has it.
        wanted: what the subscription has after the change.
    """
    waiting = pending_update(dict(subscription))
    return waiting is not None and sorted(map(str, map(tuple, waiting["items"]))) == sorted(map(str, wanted))


def preview_of(
    present: SubscriptionState,
    price_ids: Collection[str],
    *,
    as_of: int,
    due: StripeResponse | None,
    renewal: StripeResponse | None,
    at: datetime | None = None,
    renews: bool = True,
    trial_end: datetime | None = None,
) -> Preview:
    """Return what Stripe's two previews say.

    Args:
        present: the subscription.
        price_ids: the plans whose renewal counts.
        as_of: when the subscription was read, on Stripe's clock.
        due: the invoice that the change makes at once; None when it makes none.
        renewal: an invoice of the plan alone; None when the subscription ends before its renewal.
        at: when the change happens, if it waits for the period's end.
        renews: whether that is its renewal, too.
        trial_end: when the trial that goes on after the change ends.
    """
    now = _invoice(due)
    proration_date = _proration_date(due, renewal, as_of)
    return Preview(
        currency=present.subscription.currency,
        due_now=now.get("amount_due", 0),
        credit=max(0, -now.get("total", 0)),
        lines=now.get("lines", []),
        due_at_renewal=_invoice(renewal).get("total"),
        renews_at=(at if renews else None) or _renewal(_invoice(renewal).get("lines", []), price_ids, proration_date),
        proration_date=datetime.fromtimestamp(proration_date, UTC),
        at=at,
        trial_end=trial_end,
    )


def billed_prices(answer: StripeResponse | None) -> set[str]:
    """Return the prices that an invoice bills."""
    return {line["price"] for line in _invoice(answer).get("lines", [])}


def _invoice(answer: StripeResponse | None) -> dict[str, Any]:
    return {} if answer is None else invoice_columns(answer.object)


def _proration_date(due: StripeResponse | None, renewal: StripeResponse | None, as_of: int) -> int:
    """Return the moment that Stripe has counted from: said by the invoice, else by where its prorations begin."""
    if due is not None:
        details = (due.object.get("parent") or {}).get("subscription_details") or {}
        starts = [line["period_start"] for line in _invoice(due)["lines"] if line["proration"]]
        return int(details.get("subscription_proration_date") or min(starts, default=due.as_of))
    return renewal.as_of if renewal else as_of


def _renewal(lines: Sequence[dict[str, Any]], price_ids: Collection[str], now: int) -> datetime | None:
    """Return when a renewal is billed: its line is for a period that begins then, or has begun and ends then.

    The line of a plan counts, or any where the plan is not billed then: an add-on by the year beside a monthly plan.
    """
    for line in sorted(lines, key=lambda each: each["price"] not in price_ids):
        at = line["period_start"] if line["period_start"] > now else line["period_end"]
        return datetime.fromtimestamp(at, UTC)
    return None

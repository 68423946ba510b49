"""Quotes of changes: a preview is charged only in the state that it was made from, and only for some minutes."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.billing.user_errors import Problem, ProblemCode
from gateway.db.database import Database
from gateway.db.tables import insert, table_for
from gateway.mirror.mapping import id_of
from gateway.models.subscriptions import ChangeQuote
from gateway.stripe_api.client import StripeResponse

QUOTES = table_for(ChangeQuote)
QUOTE_SECONDS = 15 * 60
"""How long a quote is honoured. Longer would let a buyer pay less for having waited."""
CLOCK_SLACK_SECONDS = 60
_RETENTION = timedelta(days=1)
_DECISIVE = ("status", "trial_end", "billing_cycle_anchor", "default_tax_rates")
_NOT_QUOTED = "there is no such preview of this subscription; ask for a new one"
_CHANGED = "the subscription was changed since this preview; ask for a new one"


def digest_of(subscription: dict[str, Any]) -> str:
    """Return a digest of what the amounts of a change follow from. Pure.

    The latest invoice is of it, though no amount follows from it: each change that is billed makes another. Else who
    changes up, down and up again could go down once more by the first quote, and have time credited that was not paid.

    Args:
        subscription: as Stripe has it.
    """
    items = [
        (item["id"], item["price"]["id"], item.get("quantity"), item.get("current_period_end"))
        for item in subscription["items"]["data"]
    ]
    expanded = subscription.get("customer")
    customer = expanded if isinstance(expanded, dict) else {}
    of_items = (each for item in subscription["items"]["data"] for each in item.get("discounts") or ())
    discounts = [id_of(each) for each in (*(subscription.get("discounts") or ()), customer.get("discount"), *of_items)]
    said = [
        id_of(subscription.get("latest_invoice")),
        customer.get("balance"),
        *(subscription.get(name) for name in _DECISIVE),
    ]
    return sha256(orjson.dumps([items, discounts, said])).hexdigest()


async def remember(database: Database, subscription: dict[str, Any], proration_date: datetime) -> None:
    """Write down that a preview was made of a subscription as Stripe has it now."""
    now = datetime.now(UTC)
    row = {
        "subscription_id": subscription["id"],
        "proration_date": proration_date,
        "state": digest_of(subscription),
        "created": now,
    }

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.delete(QUOTES).where(QUOTES.c.created < now - _RETENTION))
        connection.execute(insert(connection, QUOTES).values(row).on_conflict_do_nothing())

    await database.transaction(write)


async def expired(database: Database, proration_date: datetime | None, present: StripeResponse) -> Problem | None:
    """Return why a preview is no longer good; None when it is.

    A date that was given to nobody is none: it could lie before a change that was paid since.

    Args:
        database: where the quotes are.
        proration_date: the preview's; None is no preview.
        present: the subscription as Stripe has it, for Stripe's clock too.
    """
    if proration_date is None:
        return None
    message = too_old(proration_date, present)
    if message is None:
        given = QUOTES.c.subscription_id == present.object["id"], QUOTES.c.proration_date == proration_date
        query = sa.select(QUOTES.c.state).where(*given)
        states = set(await database.read(lambda connection: connection.execute(query).scalars().all()))
        if digest_of(present.object) in states:
            return None
        message = _CHANGED if states else _NOT_QUOTED
    return Problem(ProblemCode.PREVIEW_EXPIRED, message, "prorationDate")


def too_old(proration_date: datetime, present: StripeResponse) -> str | None:
    """Return why a preview's date is no longer good, by Stripe's clock. Pure.

    On a test clock's time only Stripe can judge.
    """
    if present.object.get("test_clock"):
        return None
    age = datetime.fromtimestamp(present.as_of, UTC) - proration_date
    if -CLOCK_SLACK_SECONDS <= age.total_seconds() <= QUOTE_SECONDS:
        return None
    return f"a quote is good for {QUOTE_SECONDS // 60} minutes; ask for a new preview"

"""Customers whose balance at Stripe has unused time of which the payment went back after a change had credited it.

Nothing here takes it from them: that is the seller's to do. `gateway doctor` says so.
"""

from collections import Counter

import sqlalchemy as sa

from gateway.billing import returns
from gateway.billing.subscriptions.kept_value import overdrawn
from gateway.billing.subscriptions.payments import paid_invoices
from gateway.db.tables import table_for
from gateway.errors import StripeMissing
from gateway.mirror.accounts import own
from gateway.models.mirrored import Invoice
from gateway.stripe_api.client import Stripe

INVOICES = table_for(Invoice)
MOST = 100
"""So many subscriptions are looked at, the newest changes first."""


def overdrafts(connection: sa.Connection) -> Counter[str]:
    """Return how much more than was kept changes have left in balances, by customer, in minor units.

    It goes through all invoices: an invoice below zero is one of a change to something cheaper.
    """
    other = INVOICES.alias()
    paid = other.c.subscription_id == INVOICES.c.subscription_id, other.c.status == "paid"
    went_back = sa.select(other.c.id).where(*paid, returns.of_invoice(other.c.id) > 0).exists()
    below_zero = INVOICES.c.total < 0, INVOICES.c.status == "paid", INVOICES.c.deleted.is_(False)
    its = INVOICES.c.subscription_id, INVOICES.c.customer_id
    query = sa.select(*its).where(*below_zero, own(INVOICES.c.id), went_back).order_by(INVOICES.c.created.desc())
    found: Counter[str] = Counter()
    for row in dict.fromkeys(connection.execute(query.limit(MOST)).all()):
        paid_ones, _ = paid_invoices(connection, row.subscription_id)
        for invoice in paid_ones:
            found[row.customer_id] += overdrawn(invoice, [each for each in paid_ones if each.order < invoice.order])
    return +found


async def still_there(stripe: Stripe, overdrawn_by: Counter[str]) -> dict[str, int]:
    """Return how much of that their balances still have, by customer, in minor units.

    Raises:
        StripeFailure: the key may not read customers.
        StripeUnavailable: Stripe cannot be reached.
    """
    found = {}
    for customer_id, amount in overdrawn_by.items():
        try:
            balance = (await stripe.get(f"/v1/customers/{customer_id}")).object.get("balance") or 0
        except StripeMissing:
            continue
        if balance < 0:  # what Stripe owes the customer
            found[customer_id] = min(amount, -balance)
    return found

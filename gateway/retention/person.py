"""A person: under which ids, addresses and objects at Stripe somebody is in the tables."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.mirror.accounts import account_of
from gateway.mirror.mapping import email_key
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import (
    Charge,
    CheckoutSession,
    CreditNote,
    Customer,
    Dispute,
    Invoice,
    PaymentMethod,
    PromotionCode,
    Subscription,
    SubscriptionSchedule,
)

CUSTOMERS, CLAIMS, SESSIONS, CHARGES = (table_for(each) for each in (Customer, CustomerClaim, CheckoutSession, Charge))
DISPUTES = table_for(Dispute)
OF_CUSTOMERS = tuple(
    table_for(each)
    for each in (
        PaymentMethod,
        CheckoutSession,
        Subscription,
        SubscriptionSchedule,
        Invoice,
        Charge,
        CreditNote,
        PromotionCode,
    )
)
"""The mirror's tables whose rows name their customer."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is here.

    Attributes:
        customers: at Stripe, by the mirror's ids.
        external_ids: in the application.
        emails: in lower case.
        objects: Stripe's ids of everything that is theirs, the customers among them.
        others: customers of somebody else, or of nobody, with one of the addresses.
    """

    customers: frozenset[str]
    external_ids: frozenset[str]
    emails: frozenset[str]
    objects: frozenset[str]
    others: frozenset[str]


def find(connection: sa.Connection, who: Collection[str]) -> Person:
    """Read who is meant.

    Args:
        connection: anything that may read.
        who: ids of users in the application, or of customers at Stripe.
    """
    rows = connection.execute(
        sa.select(CUSTOMERS.c.id, CUSTOMERS.c.external_id, CUSTOMERS.c.email_lower).where(
            CUSTOMERS.c.id.in_(who) | CUSTOMERS.c.external_id.in_(who)
        )
    ).all()
    users = {row.external_id for row in rows if row.external_id} | {*who} - {row.id for row in rows}
    claims = connection.execute(
        sa.select(CLAIMS.c.customer_id, CLAIMS.c.external_id, CLAIMS.c.email).where(
            CLAIMS.c.customer_id.in_(who) | CLAIMS.c.external_id.in_(users)
        )
    ).all()
    users |= {claim.external_id for claim in claims}
    customers = {row.id for row in rows} | {claim.customer_id for claim in claims if claim.customer_id}
    emails = {row.email_lower for row in rows if row.email_lower}
    emails |= {email_key(claim.email) for claim in claims if claim.email}
    sessions = connection.execute(
        sa.select(SESSIONS.c.id, SESSIONS.c.customer_email).where(
            SESSIONS.c.customer_id.in_(customers) | SESSIONS.c.external_id.in_(users)
        )
    ).all()
    emails |= {email_key(row.customer_email) for row in sessions if row.customer_email}
    same = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.email_lower.in_(emails), CUSTOMERS.c.id.not_in(customers))
    others = connection.execute(same).scalars().all()
    objects = customers | {row.id for row in sessions} | _objects(connection, customers)
    return Person(
        frozenset(customers),
        frozenset(users),
        frozenset(emails),
        frozenset(account_of(each)[1] for each in objects),
        frozenset(others),
    )


def _objects(connection: sa.Connection, customers: Collection[str]) -> set[str]:
    """Return the ids of what the mirror has of some customers, and of the payments behind it."""
    found: set[str] = set()
    for table in OF_CUSTOMERS:
        names = [table.c.id] + ([table.c.payment_intent_id] if "payment_intent_id" in table.c else [])
        for row in connection.execute(sa.select(*names).where(table.c.customer_id.in_(customers))):
            found.update(value for value in row if value)
    theirs = sa.select(CHARGES.c.id).where(CHARGES.c.customer_id.in_(customers))
    found.update(connection.execute(sa.select(DISPUTES.c.id).where(DISPUTES.c.charge_id.in_(theirs))).scalars())
    return found

"""One trial only: for each user, and for each e-mail address.

A guest types the address on Stripe's page, after the trial was offered. So what a guest has begun is looked at once it
is known who it was: every trial but the first with this address ends at once, before anything was charged for it.

No user's trial is ended for an address. What the mirror has is no proof of it: a customer has the address that its user
types on Stripe's page or in the portal, or that several organisations share. Whoever takes another's address there
would end a trial of that other.
"""

from contextlib import suppress
from datetime import timedelta

import sqlalchemy as sa
import structlog

from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.errors import StripeMissing
from gateway.mirror.accounts import own
from gateway.mirror.mapping import Json, email_key, id_of
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession, Customer, Subscription
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

CLAIMS, CUSTOMERS = table_for(CustomerClaim), table_for(Customer)
SESSIONS, SUBSCRIPTIONS = table_for(CheckoutSession), table_for(Subscription)
AT_ONCE = timedelta(minutes=1)
WHY = "This e-mail address has had its trial; nothing was charged."

log = structlog.get_logger()


async def days_for(
    database: Database, settings: Settings, days: int | None, *, external_id: str | None, email: str | None
) -> int | None:
    """Return the days of a cart's trial that somebody may have; None where that is no trial.

    Args:
        database: the mirror.
        settings: whether a second trial is given.
        days: of the cart's trial.
        external_id: for this user; None for a guest.
        email: for whoever has this address, where one is known.
    """
    if not days or settings.allow_repeat_trials:
        return days
    return None if await had_trial(database, external_id=external_id, email=email) else days


async def had_trial(database: Database, *, external_id: str | None, email: str | None) -> bool:
    """Return whether there has ever been a trial, also with customers that are gone.

    Args:
        database: the mirror.
        external_id: of this user; None for a guest.
        email: with this address, in any case; None where none is known.
    """
    theirs = []
    if external_id:
        theirs.append(sa.select(CLAIMS.c.customer_id).where(CLAIMS.c.external_id == external_id))
        theirs.append(sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.external_id == external_id))
    if email:
        theirs.append(sa.select(CUSTOMERS.c.id).where(*_with(email_key(email))))
    is_theirs = sa.or_(sa.false(), *(SUBSCRIPTIONS.c.customer_id.in_(each) for each in theirs))
    trials = sa.select(SUBSCRIPTIONS.c.id).where(is_theirs, SUBSCRIPTIONS.c.trial_start.is_not(None))
    return await database.read(lambda connection: connection.execute(trials.limit(1)).first() is not None)


def _with(email_lower: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a customer has an address; what a connected account sold to it is another seller's."""
    return CUSTOMERS.c.email_lower == email_lower, own(CUSTOMERS.c.id)


def is_guests(connection: sa.Connection, session_id: str) -> bool:
    """Return whether a guest has started a subscription with a session."""
    query = sa.select(SESSIONS.c.id).where(
        SESSIONS.c.id == session_id, SESSIONS.c.guest, SESSIONS.c.mode == "subscription"
    )
    return connection.execute(query).first() is not None


async def end_repeated(mirror: Mirror, stripe: Stripe, session: Json) -> None:
    """End the trials that guests have had with the address of a completed session, but the first.

    Every one of them is looked at, not only the session's own: two that were paid at once are told in any order.

    Args:
        mirror: the copy of Stripe, which has the session.
        stripe: ends them.
        session: a `checkout.session`, just read.

    Raises:
        StripeUnavailable: Stripe cannot be reached; the same may be done again.
    """
    email = (session.get("customer_details") or {}).get("email")
    if not email or not await mirror.database.read(lambda connection: is_guests(connection, session["id"])):
        return
    address = email_key(email)
    for kind, object_id in await mirror.database.read(lambda connection: _unknown(connection, session, address)):
        with suppress(StripeMissing):
            await mirror.refresh(stripe, kind, object_id)
    for subscription_id in await mirror.database.read(lambda connection: repeated(connection, address)):
        with suppress(StripeMissing):  # ended meanwhile
            if (await mirror.refresh(stripe, "subscription", subscription_id)).get("status") != "trialing":
                continue  # paid for meanwhile
            ended = await stripe.delete(f"/v1/subscriptions/{subscription_id}", cancellation_details={"comment": WHY})
            await mirror.store_answer(stripe, ended)
            log.info("checkout.repeated_trial_ended", subscription=subscription_id)


def _unknown(connection: sa.Connection, session: Json, email_lower: str) -> list[tuple[str, str]]:
    """Return what of a session must be read, by kind and id: what the mirror lacks, because its events are late."""
    subscription_id, customer_id = id_of(session.get("subscription")), id_of(session.get("customer"))
    begun = sa.select(SUBSCRIPTIONS.c.id).where(
        SUBSCRIPTIONS.c.id == subscription_id, SUBSCRIPTIONS.c.status != "incomplete"
    )
    whose = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.id == customer_id, CUSTOMERS.c.email_lower == email_lower)
    looked = ("customer", customer_id, whose), ("subscription", subscription_id, begun)
    return [(kind, object_id) for kind, object_id, query in looked if object_id and not connection.execute(query).all()]


def repeated(connection: sa.Connection, email_lower: str) -> list[str]:
    """Return the trials of an address that are to end, by the subscription's id: all that guests run but the first.

    A trial that the seller gave a subscription later stays, for it has been paid for before. Stripe's `trial_start` is
    the second of `created` where a subscription began with it.

    Several can begin in one second, and each look may know of more of them than the one before. So within a second a
    user's own comes before a guest's, and what runs before what has ended: a trial that stayed at the last look stays.
    """
    by_guest = sa.exists().where(SESSIONS.c.subscription_id == SUBSCRIPTIONS.c.id, SESSIONS.c.guest)
    owned = sa.exists().where(CLAIMS.c.customer_id == SUBSCRIPTIONS.c.customer_id)
    columns = (SUBSCRIPTIONS.c[name] for name in ("id", "status", "created", "trial_start"))
    trials = (
        sa.select(*columns, sa.and_(by_guest, sa.not_(owned)).label("is_guests"))
        .join(CUSTOMERS, CUSTOMERS.c.id == SUBSCRIPTIONS.c.customer_id)
        .where(*_with(email_lower), SUBSCRIPTIONS.c.trial_start.is_not(None))
        .order_by(SUBSCRIPTIONS.c.created, SUBSCRIPTIONS.c.status == "canceled", sa.not_(owned), SUBSCRIPTIONS.c.id)
    )
    later = connection.execute(trials).all()[1:]
    guests = [row for row in later if row.is_guests and row.status == "trialing"]
    return [row.id for row in guests if row.trial_start < row.created + AT_ONCE]

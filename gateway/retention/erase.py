"""Erase what says who a person is: `gateway erase`, and what follows from a customer's deletion at Stripe.

Stripe is told first: a copy that stayed there would come back. What law or money needs stays, under Stripe's ids
alone: subscriptions, invoices with their amounts and lines, payments and what went back of them, the credit ledger's
amounts, and that an action of the audit log was done, by whom, when and to what.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from gateway.db.database import ENDPOINTS, Database
from gateway.db.notifications import NOTIFICATIONS, publish
from gateway.db.tables import insert, table_for
from gateway.errors import BadInput, StripeMissing, StripeRefused
from gateway.mirror.accounts import account_of
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CheckoutIntent, CustomerClaim
from gateway.models.credits import CreditAccount, CreditEntry
from gateway.models.metering import UsageCounter, UsageHold, UsageRecord, UsageTotal
from gateway.models.mirrored import CheckoutSession, Customer, Invoice, PaymentMethod, Subscription
from gateway.models.outbound import OutboxDelivery, OutboxMessage
from gateway.models.retention import PERSONAL, Erasure
from gateway.models.statuses import OCCUPYING
from gateway.retention.audited import forget
from gateway.retention.payloads import empty_payloads, overwrite_freed, second_look_due
from gateway.retention.person import Person, find
from gateway.stripe_api.client import Stripe

CUSTOMERS, METHODS, SESSIONS, SUBSCRIPTIONS, INVOICES = (
    table_for(each) for each in (Customer, PaymentMethod, CheckoutSession, Subscription, Invoice)
)
CLAIMS, INTENTS = table_for(CustomerClaim), table_for(CheckoutIntent)
USAGE, TOTALS = table_for(UsageRecord), table_for(UsageTotal)
COUNTERS, HOLDS = table_for(UsageCounter), table_for(UsageHold)
ACCOUNTS, ENTRIES = table_for(CreditAccount), table_for(CreditEntry)
MESSAGES, DELIVERIES = table_for(OutboxMessage), table_for(OutboxDelivery)
ERASURES = table_for(Erasure)

SESSIONS_PATH = "/v1/checkout/sessions"
LATE_DAYS = 31
"""After which Stripe can bring no event that was there before the erasure."""

STAYS = {
    "subscriptions": "what was sold, and when",
    "invoices": "amounts and lines: the law on book-keeping; who it was is on Stripe's documents alone",
    "payments, refunds, disputes, credit notes": "amounts: money",
    "credit ledger": "amounts and times: money",
    "audit log": "what was done, by whom, when and to which object of Stripe",
    "messages on their way": "they bear the user's id, until a day after they are delivered",
}
"""What an erasure leaves, and why."""


async def erase(mirror: Mirror, stripe: Stripe, person: Person) -> dict[str, int]:
    """Delete a person's customers at Stripe, then erase their data here; how much there was of each. Repeatable.

    Raises:
        BadInput: a subscription is live, by what Stripe says: ended with its customer, it would be paid for nothing.
        StripeUnavailable: Stripe cannot be reached; what was done until then stays done.
        DatabaseUnavailable: the database cannot be reached; the same.
    """
    await refuse_live(mirror.database, person)
    their = {customer_id: _client(stripe, customer_id) for customer_id in sorted(person.customers)}
    for client, object_id in their.values():
        with suppress(StripeMissing):
            await _close_checkouts(mirror, client, object_id)
            await _read_subscriptions(mirror, client, object_id)
    await refuse_live(mirror.database, person)
    for client, object_id in their.values():
        with suppress(StripeMissing):
            await client.delete(f"/v1/customers/{object_id}")
        with suppress(StripeMissing):  # which marks it as deleted here
            await mirror.refresh(client, "customer", object_id)
    emptied = await empty_payloads(mirror.database, person)
    rows = await mirror.database.transaction(partial(erase_rows, person=person))
    return {"payloads of events": emptied.payloads, **rows}


def _client(stripe: Stripe, customer_id: str) -> tuple[Stripe, str]:
    account, object_id = account_of(customer_id)
    return stripe.on_behalf_of(account) if account else stripe, object_id


async def _close_checkouts(mirror: Mirror, stripe: Stripe, customer_id: str) -> None:
    """Close what a customer could still pay; what is paid in this moment has a subscription, or is a purchase."""
    found = await stripe.get(SESSIONS_PATH, customer=customer_id, status="open", limit=100)
    for each in found.object["data"]:
        path, key = f"{SESSIONS_PATH}/{each['id']}/expire", f"expire-{each['id']}"
        with suppress(StripeRefused):
            await mirror.store_answer(stripe, await stripe.post(path, idempotency_key=key))


async def _read_subscriptions(mirror: Mirror, stripe: Stripe, customer_id: str) -> None:
    """Bring up to date which subscriptions of a customer go on."""
    found = await stripe.get("/v1/subscriptions", customer=customer_id, limit=100)
    await mirror.refresh_all(stripe, await mirror.store_page(found, found.object["data"]))


class _Undone(Exception):
    """Undoes a transaction whose counts were asked for."""


async def preview(database: Database, person: Person) -> dict[str, int]:
    """Return what `erase` would count, and change nothing.

    Raises:
        BadInput: a subscription is live.
    """
    await refuse_live(database, person)
    counts: dict[str, int] = {}

    def undone(connection: sa.Connection) -> None:
        counts.update(erase_rows(connection, person))
        raise _Undone

    with suppress(_Undone):
        await database.transaction(undone)
    return {"payloads of events": (await empty_payloads(database, person, dry_run=True)).payloads, **counts}


async def refuse_live(database: Database, person: Person) -> None:
    """Refuse to erase who has a subscription that goes on.

    Raises:
        BadInput: somebody has.
    """
    live = sa.select(SUBSCRIPTIONS.c.id).where(
        SUBSCRIPTIONS.c.customer_id.in_(person.customers),
        SUBSCRIPTIONS.c.status.in_(OCCUPYING),
        SUBSCRIPTIONS.c.deleted.is_(False),
    )
    if found := await database.read(lambda connection: connection.execute(live).scalars().all()):
        raise BadInput(f"a subscription goes on ({', '.join(sorted(found))}): cancel it first")


def erase_rows(connection: sa.Connection, person: Person) -> dict[str, int]:
    """Clear and delete rows, and remember whose they were; how many of each."""
    overwrite_freed(connection)
    customers = person.customers
    sessions = connection.execute(_sessions(person)).scalars().all()
    gone = {"deleted": True}
    other_kinds = sa.select(ACCOUNTS.c.customer_id).where(ACCOUNTS.c.owner_id.in_(customers))
    counts = {
        "customers": _clear(connection, CUSTOMERS, CUSTOMERS.c.id.in_(customers), gone),
        "cards": _clear(connection, METHODS, METHODS.c.customer_id.in_(customers), gone),
        "checkouts": _clear(connection, SESSIONS, SESSIONS.c.id.in_(sessions)),
        "subscriptions' metadata": _clear(connection, SUBSCRIPTIONS, SUBSCRIPTIONS.c.customer_id.in_(customers)),
        "links to invoices": _clear(connection, INVOICES, INVOICES.c.customer_id.in_(customers)),
        "notes in the credit ledger": _update(
            connection,
            ENTRIES,
            ENTRIES.c.customer_id.in_(customers) | ENTRIES.c.customer_id.in_(other_kinds),
            {"key": None, "fingerprint": None, "reason": None, "meta": {}},
        ),
        "words in the audit log": forget(connection, person.external_ids, person.objects),
        "claims": _delete(connection, CLAIMS, CLAIMS.c.external_id.in_(person.external_ids)),
        "intents to check out": _delete(
            connection,
            INTENTS,
            INTENTS.c.scope.in_([f"user:{each}" for each in person.external_ids]) | INTENTS.c.session_id.in_(sessions),
        ),
        "reports of usage": _delete(connection, USAGE, USAGE.c.customer_id.in_(customers)),
        "sums of usage": _delete(connection, TOTALS, TOTALS.c.customer_id.in_(customers)),
        "counters": _delete(connection, COUNTERS, COUNTERS.c.customer_id.in_(customers)),
        "holds": _delete(connection, HOLDS, HOLDS.c.customer_id.in_(customers)),
        "messages": _delete_messages(connection, MESSAGES.c.customer_id.in_(customers)),
    }
    at = datetime.now(UTC)
    for customer_id in sorted(customers):  # to be looked through once more: the deletion at Stripe brings events
        _remember(connection, customer_id, rows=True, asked_at=at, scanned_at=None)
    publish(connection, *(f"customer:{each}" for each in customers), *(f"user:{each}" for each in person.external_ids))
    return counts


def _sessions(person: Person) -> sa.Select[Any]:
    """Return the query of a person's checkouts, those that are nobody's with one of the addresses included."""
    theirs = SESSIONS.c.customer_id.in_(person.customers) | SESSIONS.c.external_id.in_(person.external_ids)
    nobodys = SESSIONS.c.customer_id.is_(None), sa.func.lower(SESSIONS.c.customer_email).in_(person.emails)
    return sa.select(SESSIONS.c.id).where(theirs | sa.and_(*nobodys))


def note_deletion(connection: sa.Connection, customer_id: str) -> None:
    """Remember that a customer was deleted at Stripe, so that the payloads about it are emptied within a day."""
    _remember(connection, customer_id, asked_at=datetime.now(UTC), scanned_at=None)


def _remember(connection: sa.Connection, customer_id: str, **columns: Any) -> None:
    new = insert(connection, ERASURES).values(customer_id=customer_id, **{"rows": False, **columns})
    connection.execute(new.on_conflict_do_update(index_elements=["customer_id"], set_=columns))


async def erase_again(database: Database) -> int:
    """Empty payloads of customers that are due, and clear what has come back to rows; how many payloads.

    Late events and `gateway sync` bring back what Stripe still says of checkouts and invoices. Messages that were on
    their way then, or were written of the deletion itself, are deleted once they are on it no more.
    """
    at = datetime.now(UTC)
    rows = await database.read(lambda connection: connection.execute(sa.select(ERASURES)).all())
    due: defaultdict[str | None, list[str]] = defaultdict(list)
    for row in rows:
        if second_look_due(row.asked_at, row.scanned_at, at, LATE_DAYS):
            # a connected account that deletes a customer says nothing of who else has the address
            due[None if row.rows else account_of(row.customer_id)[0]].append(row.customer_id)
    count = 0
    for account, ids in due.items():
        person = await database.read(partial(find, who=ids))
        emptied = await empty_payloads(database, person, account=account)
        count += emptied.payloads
        if not emptied.waits:  # otherwise the next day looks again
            done = sa.update(ERASURES).where(ERASURES.c.customer_id.in_(ids)).values(scanned_at=at)
            await database.transaction(partial(_executed, done))
    if any(row.rows for row in rows):
        await database.transaction(_clear_again)
    if database.is_sqlite:
        await database.transaction(_clear_notifications)
    return count


def _executed(statement: sa.Update, connection: sa.Connection) -> int:
    return connection.execute(statement).rowcount


def _clear_again(connection: sa.Connection) -> None:
    erased = sa.select(ERASURES.c.customer_id).where(ERASURES.c.rows)
    for table in (SESSIONS, SUBSCRIPTIONS, INVOICES):
        columns = [table.c[name] for name in PERSONAL[table.name]]
        back = (each.is_not(None) if each.nullable else sa.cast(each, sa.Text) != "{}" for each in columns)
        _clear(connection, table, sa.and_(table.c.customer_id.in_(erased), sa.or_(*back)))
    _delete_messages(connection, MESSAGES.c.customer_id.in_(erased))


def _clear_notifications(connection: sa.Connection) -> None:
    """Delete SQLite's notifications, which bear users' ids: where little happens, the latest thousand are of months.

    Who has not read some of them yet sees by the next one, which is written here, and looks at everything.
    """
    overwrite_freed(connection)
    connection.execute(sa.delete(NOTIFICATIONS))
    publish(connection, "retention")


def _clear(
    connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool], more: Mapping[str, Any] | None = None
) -> int:
    """Leave a mirrored table's personal columns empty; how many rows."""
    empty: dict[str, Any] = {name: None if table.c[name].nullable else {} for name in PERSONAL[table.name]}
    return _update(connection, table, where, {**empty, **(more or {})})


def _update(
    connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool], values: Mapping[str, Any]
) -> int:
    return connection.execute(sa.update(table).where(where).values(**values)).rowcount


def _delete(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(where)).rowcount


def _delete_messages(connection: sa.Connection, where: sa.ColumnElement[bool]) -> int:
    """Delete some messages, but not those that still wait for an endpoint of the settings."""
    on_its_way = DELIVERIES.c.status == "pending", DELIVERIES.c.endpoint.in_(connection.info.get(ENDPOINTS, ()))
    waits = sa.exists().where(DELIVERIES.c.id == MESSAGES.c.id, *on_its_way)
    query = sa.select(MESSAGES.c.id).where(where, ~waits)
    ids = connection.execute(query).scalars().all()
    _delete(connection, DELIVERIES, DELIVERIES.c.id.in_(ids))
    return _delete(connection, MESSAGES, MESSAGES.c.id.in_(ids))

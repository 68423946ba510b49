"""Make the credit ledger follow the mirror: what was paid is granted, what was given or paid back is taken back.

Nothing is done because an event came: `settle` reads what the mirror says about a purchase, reckons what the ledger
should hold, and appends the difference. So a refund before its payment, a copy of an event and a replay all end alike.

- A line grants once, under its own id; what it has granted stays, however the price's metadata change later.
- What a later line covers or gives back of a line's time is taken back by time (`timeline.py`).
- Refunds, lost disputes and credit notes take back the share of the invoice's total that went back, rounded down to
  whole credits, so that only a full refund takes all of them. A dispute that is won and a refund that fails give back.
- What was spent already is taken back as well: the balance is then below zero, and the next grants pay it, once.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from gateway.billing.credits import owned, purchases
from gateway.billing.credits.grants import Grant
from gateway.billing.credits.ledger import LOTS, Account, lock_accounts
from gateway.billing.credits.purchases import INVOICES, Purchase
from gateway.db.locks import advisory_locks
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import insert
from gateway.mirror.effects import Written
from gateway.models.statuses import FINAL

RENEWAL_GRACE = "gateway.renewal_grace"
"""Under which name a connection's `info` says how long a period's credits stay usable while the next one is unpaid."""

# Each is made once: that costs several times what it takes to run it.
_SUBSCRIPTIONS_OF = PreparedQuery(
    lambda dialect: sa.select(INVOICES.c.subscription_id).where(
        in_json_array(dialect, INVOICES.c.id, "ids"), INVOICES.c.subscription_id.is_not(None)
    )
)
_LOTS_OF = PreparedQuery(
    lambda dialect: sa.select(LOTS).where(in_json_array(dialect, LOTS.c.purchase_id, "ids")).order_by(LOTS.c.id)
)


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Settle the purchases that these rows are about."""
    about = [row for row in written if row.kind in {"invoice_payment", "charge", "dispute", "checkout.session"}]
    intents: set[str] = {row.columns["payment_intent_id"] for row in about} - {None}
    charges: set[str] = {row.id if row.kind == "charge" else row.columns.get("charge_id", "") for row in about}
    charges -= {"", None}
    advisory_locks(connection, intents | charges)
    ids = {row.id for row in written if row.kind == "invoice" and row.columns["status"] == "paid"}
    ids |= {row.id for row in written if row.kind == "checkout.session" and row.columns["status"] == "complete"}
    ids |= {row.columns["invoice_id"] for row in written if row.kind in {"invoice_payment", "credit_note"}}
    if any(row.kind in {"charge", "dispute", "invoice_payment"} for row in about):
        ids |= purchases.paid_by(connection, intents, charges)
    ids |= _last_invoices(connection, {row.id for row in written if row.kind == "subscription" and _matters(row)})
    if ids:
        settle(connection, ids)
    owned.on_new_customers(connection, [row.id for row in written if row.kind == "customer" and row.created])


def _matters(row: Written) -> bool:
    """Return whether a subscription's state says something that its invoices do not: that it has ended, or a trial."""
    return row.columns["status"] in FINAL or (row.created and row.columns["trial_end"] is not None)


def _last_invoices(connection: sa.Connection, subscriptions: Collection[str]) -> set[str]:
    """Return the invoice of each subscription that was paid last, of those that the mirror has."""
    found: set[str] = set()
    for subscription in subscriptions:
        mine = INVOICES.c.subscription_id == subscription, INVOICES.c.status == "paid"
        query = sa.select(INVOICES.c.id).where(*mine).order_by(INVOICES.c.created.desc(), INVOICES.c.id.desc()).limit(1)
        found.update(connection.execute(query).scalars())
    return found


def settle(connection: sa.Connection, ids: Collection[str]) -> None:
    """Make the ledger say what the mirror says about some purchases and all that depend on them.

    Args:
        connection: a transaction of `Database`, whose `info` has the renewal grace.
        ids: of invoices and checkouts; those that are not paid, or nobody's, are passed over.
    """
    subscriptions = _SUBSCRIPTIONS_OF.rows(connection, ids=json_array(ids))
    advisory_locks(connection, {*ids, *(row.subscription_id for row in subscriptions)})
    found = purchases.read(connection, ids, connection.info.get(RENEWAL_GRACE, timedelta()))
    owned.settle(connection, found)
    lots = _lots(connection, [purchase.id for purchase in found])
    found = [purchase for purchase in found if purchase.grants or purchase.id in lots]
    oldest_first = sorted(found, key=lambda purchase: purchase.paid_at)
    accounts = lock_accounts(connection, {purchase.account_id: purchase.paid_at for purchase in oldest_first})
    for purchase in found:
        _grant(accounts[purchase.account_id], purchase, {lot.id for lot in lots.get(purchase.id, ())})
    lots = _lots(connection, [purchase.id for purchase in found])  # once more, behind the lock
    for purchase in found:
        _take_back(accounts[purchase.account_id], purchase, lots.get(purchase.id, ()))
    for account in accounts.values():
        account.balance_lots()


def _lots(connection: sa.Connection, purchase_ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for lot in _LOTS_OF.rows(connection, ids=json_array(purchase_ids)) if purchase_ids else ():
        found.setdefault(lot.purchase_id, []).append(lot)
    return found


def _grant(account: Account, purchase: Purchase, known: Collection[str]) -> None:
    """Grant what has not been granted yet; some lots were there before, and no lot is ever taken away."""
    for grant in purchase.grants:
        if grant.granted <= 0 or grant.id in known:
            continue
        lot: dict[str, Any] = {
            "id": grant.id,
            "customer_id": account.id,
            "purchase_id": purchase.id,
            "granted": grant.granted,
            "units": grant.units,
            "granted_at": purchase.paid_at,
            "expires_at": grant.expires_at,
            "debts": {},
            **dict.fromkeys(("revoked", "spent", "expired"), 0),
        }
        if account.connection.execute(_new_lot(account.connection.dialect.name), lot).first():
            account.append("grant", grant.granted, lot_id=grant.id, purchase_id=purchase.id)


@lru_cache
def _new_lot(dialect: str) -> Any:
    """INSERT a lot that is not there yet."""
    return insert(dialect, LOTS).on_conflict_do_nothing().returning(LOTS.c.id)


def _take_back(account: Account, purchase: Purchase, lots: Collection[Any]) -> None:
    """Take back, or give back, what has become more or less of the time and of the payment that went back."""
    if not lots:
        return
    gone = min(max(purchase.total, 0), purchase.returned)
    grants = {grant.id: grant for grant in purchase.grants}
    for lot in lots:
        by_payment = lot.granted * gone // purchase.total if gone else 0
        target = min(lot.granted, _by_time(lot, grants.get(lot.id)) + by_payment)
        if change := target - lot.revoked:
            account.add_to_lot(lot.id, "revoked", change)
            kind = "revoke" if change > 0 else "restore"
            account.append(kind, -change, lot_id=lot.id, purchase_id=purchase.id)
        if lot.id in grants and grants[lot.id].expires_at != lot.expires_at:
            account.move_expiry(lot.id, grants[lot.id].expires_at)


def _by_time(lot: Any, grant: Grant | None) -> int:
    """Return how many of a lot's credits were for time that was not kept."""
    if grant is None or grant.kept is None:
        return 0
    units = lot.granted if lot.units is None else lot.units  # lots of before 0.2 are of full periods
    return max(0, int(lot.granted) - grant.kept.credits(units))

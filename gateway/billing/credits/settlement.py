"""The credit ledger follows the copy: what was paid is granted, what was paid back is taken back.

Nothing is done because an event came: `settle` reads what the copy says about a purchase, reckons what the ledger
should hold, and appends the difference. So a refund before its payment, a copy of an event and a replay all end the
same.

- A line grants once, under its own id; what it has granted stays, however the price's metadata change later.
- Refunds and lost disputes take back the share of the payment that went back, rounded down to whole credits, so that
  only a full refund takes all of them; whatever was taken before counts. A dispute that is won after all gives back.
- What was spent already is taken back as well: the balance is then below zero, and the next grants fill it up.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.billing.credits import purchases
from gateway.billing.credits.ledger import LOTS, Account, open_accounts
from gateway.billing.credits.purchases import Purchase
from gateway.db.locks import advisory_locks
from gateway.db.tables import insert
from gateway.mirror.effects import Written


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Settle the purchases that these rows are about."""
    about = [row for row in written if row.kind in {"invoice_payment", "charge", "dispute", "checkout.session"}]
    intents: set[str] = {row.columns["payment_intent_id"] for row in about} - {None}
    advisory_locks(connection, intents)
    ids = {row.id for row in written if row.kind == "invoice" and row.columns["status"] == "paid"}
    ids |= {row.id for row in written if row.kind == "checkout.session" and row.columns["status"] == "complete"}
    ids |= {row.columns["invoice_id"] for row in written if row.kind == "invoice_payment"}
    moved = [row for row in written if row.kind in {"charge", "dispute"}]
    if moved:
        charges = {row.columns["charge_id"] if row.kind == "dispute" else row.id for row in moved}
        ids |= purchases.paid_by(connection, intents, charges)
    if ids:
        settle(connection, ids)


def settle(connection: sa.Connection, ids: Collection[str]) -> None:
    """Make the ledger say what the copy says about some purchases.

    Args:
        connection: a transaction.
        ids: of invoices and checkouts; those that are not paid, or nobody's, are passed over.
    """
    advisory_locks(connection, ids)
    found = purchases.read(connection, ids)
    held = connection.execute(sa.select(LOTS.c.purchase_id).where(LOTS.c.purchase_id.in_(ids))).scalars()
    known = set(held)
    found = [purchase for purchase in found if purchase.grants or purchase.id in known]
    oldest_first = sorted(found, key=lambda purchase: purchase.paid_at)
    clocks = {purchase.customer_id: purchase.paid_at for purchase in oldest_first}
    accounts = open_accounts(connection, clocks)
    for purchase in found:
        account = accounts[purchase.customer_id]
        _grant(account, purchase)
        _take_back(account, purchase)
        account.expire()


def _grant(account: Account, purchase: Purchase) -> None:
    """Grant what has not been granted yet."""
    for grant in purchase.grants:
        lot = {
            "id": grant.id,
            "customer_id": account.customer_id,
            "purchase_id": purchase.id,
            "granted": grant.amount,
            "granted_at": purchase.paid_at,
            "expires_at": grant.expires_at,
            **dict.fromkeys(("revoked", "spent", "expired"), 0),
        }
        new = insert(account.connection, LOTS).values(**lot).on_conflict_do_nothing().returning(LOTS.c.id)
        if (account.connection.execute(new)).first():
            account.append("grant", grant.amount, lot_id=grant.id, purchase_id=purchase.id)


def _take_back(account: Account, purchase: Purchase) -> None:
    """Take back, or give back, what the share of the payment that went back has become more or less by."""
    mine = sa.select(LOTS).where(LOTS.c.purchase_id == purchase.id).order_by(LOTS.c.id)
    lots: Sequence[Any] = (account.connection.execute(mine)).mappings().all()
    if not lots or not purchase.paid:
        return
    gone = purchases.lost(account.connection, purchase)
    for lot in lots:
        change = lot["granted"] * gone // purchase.paid - lot["revoked"]
        if change:
            account.book(lot, "revoked", change)
            kind = "revoke" if change > 0 else "restore"
            account.append(kind, -change, lot_id=lot["id"], purchase_id=purchase.id)

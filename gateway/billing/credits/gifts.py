"""Credits that the application's back end gives: for support, for a promotion, or for what was sold elsewhere.

They are a lot like one that was bought, under the name of the action: spent in the order in which they run out, and a
debt is paid by them first. No refund takes them back.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.billing.audit import Action, begin, finish
from gateway.billing.credits.kinds import bad_kind, with_kind
from gateway.billing.credits.ledger import ENTRIES, LONG_AGO, LOTS, lock_accounts
from gateway.billing.subscriptions.validation import check
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.models.credits import CreditEntry

PREFIX = "gift_"
"""What the id of a lot begins with that was given."""

MAX_GIFT = 10**12  # so that no number of gifts comes to what 64 bits do not hold
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Gift:
    """What is given.

    Attributes:
        amount: how many credits, at least 1.
        reason: for people.
        expires_at: when they run out; None for never.
        kind: of credits; empty for the one without a name.
    """

    amount: int
    reason: str
    expires_at: datetime | None = None
    kind: str = ""

    @property
    def input(self) -> dict[str, Any]:
        """What must be the same under one key."""
        ends = self.expires_at.isoformat() if self.expires_at else None
        fields = {"amount": self.amount, "reason": self.reason, "expires_at": ends}
        return fields | {"kind": self.kind} if self.kind else fields


def is_gift(purchase_id: str) -> bool:
    """Return whether credits were given, by what their lot says of the purchase."""
    return purchase_id.startswith(PREFIX)


def check_gift(gift: Gift, action: Action) -> None:
    """Refuse a gift that must be fixed, whoever it is for.

    Raises:
        Rejected: it must.
    """
    check(*action.problems(), _bad_amount(gift), _bad_reason(gift), bad_kind(gift.kind))


async def give(database: Database, customer_id: str, gift: Gift, action: Action) -> CreditEntry:
    """Give credits to a customer, once for the action's key; the entry in the ledger.

    The ledger and the audit log are written by one transaction.

    Raises:
        Rejected: they run out already, or the key was used for something else.
        DatabaseUnavailable: the database cannot be reached; the same gift can be sent again.
    """
    account_id = with_kind(customer_id, gift.kind)

    def work(connection: sa.Connection) -> CreditEntry:
        account = lock_accounts(connection, {account_id: LONG_AGO})[account_id]
        begun = begin(connection, action, str(action.key))
        if isinstance(begun, dict):
            this = sa.select(ENTRIES).where(ENTRIES.c.id == begun["entry"])
            return CreditEntry(**connection.execute(this).mappings().one())
        if gift.expires_at is not None and gift.expires_at <= account.now:
            message = "the credits would have run out already: give a time that is ahead"
            raise Rejected(Problem(ProblemCode.TIMESTAMP_INVALID, message, "expiresAt"))
        name = PREFIX + begun.reference
        lot: dict[str, Any] = {
            "id": name,
            "customer_id": account_id,
            "purchase_id": name,
            "granted": gift.amount,
            "units": gift.amount,
            "granted_at": account.now,
            "expires_at": gift.expires_at,
            "debts": {},
            **dict.fromkeys(("revoked", "spent", "expired"), 0),
        }
        connection.execute(sa.insert(LOTS).values(**lot))
        entry = account.append("grant", gift.amount, lot_id=name, reason=gift.reason)
        account.balance_lots()
        finish(connection, begun, {"entry": entry["id"]})
        return CreditEntry(**entry)

    return await database.transaction(work)


def _bad_amount(gift: Gift) -> Problem | None:
    if 1 <= gift.amount <= MAX_GIFT:
        return None
    return Problem(ProblemCode.AMOUNT_INVALID, f"the amount is out of range: give 1 to {MAX_GIFT} credits", "amount")


def _bad_reason(gift: Gift) -> Problem | None:
    if len(gift.reason) <= MAX_REASON:
        return None
    return Problem(ProblemCode.TEXT_TOO_LONG, f"the reason is too long: at most {MAX_REASON} characters", "reason")
